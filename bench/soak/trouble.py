"""What goes wrong, when: drawn from a seed, so that a soak can be repeated."""

import asyncio
import os
import random
import signal
from collections import Counter

from bench.soak.mesh import SERVICES, Mesh

from chammal.faults.fault import Fault, FaultKind

_FAULT_EVERY = 25.0
_KILL_EVERY = 75.0
_STATUSES = (500, 502, 503, 504, 429)


class Trouble:
    def __init__(self, mesh: Mesh, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._mesh = mesh
        self._random = random.Random(seed)

    async def break_the_network(self) -> None:
        """A fault of up to 20 s between two services, again and again, until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._random.uniform(0.4, 1.6) * _FAULT_EVERY)
                name = self._random.choice(sorted(self._mesh.proxies))
                fault = self._fault()
                self._mesh.proxies[name].fault = fault
                self.counts[f"{fault.kind}"] += 1
        finally:
            self.heal()

    async def kill_workers(self) -> None:
        """With SIGKILL or SIGSTOP, until cancelled."""
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * _KILL_EVERY)
            kind = self._random.choice(["recogniser", "decoder"])
            number = self._random.choice([signal.SIGKILL, signal.SIGSTOP])
            workers = self._mesh.workers(kind)
            if workers:
                self._strike(self._random.choice(workers), number, kind)

    async def kill_every_service(self, number: signal.Signals) -> None:
        for service in SERVICES:
            pid = self._mesh.pid(service)
            if pid is not None:
                self._strike(pid, number, service)
            await asyncio.sleep(self._random.uniform(2, 6))

    def heal(self) -> None:
        for proxy in self._mesh.proxies.values():
            proxy.fault = None

    def _strike(self, pid: int, number: signal.Signals, whom: str) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        self.counts[f"{number.name} {whom}"] += 1

    def _fault(self) -> Fault:
        kind = self._random.choice(list(FaultKind))
        return Fault(
            kind=kind,
            status=self._random.choice(_STATUSES) if kind is FaultKind.STATUS else None,
            retry_after=self._random.choice([None, 2.0]) if kind is FaultKind.STATUS else None,
            seconds=self._random.uniform(0.5, 3) if kind is FaultKind.SLOW else None,
            share=self._random.choice([1.0, 1.0, 0.5]),
            seconds_left=self._random.uniform(3, 20),
        )

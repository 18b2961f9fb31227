"""Whether a language model answers: what it has answered lately proves it; else it is asked for one token, seldom.

A server may say that it is well, list its models and generate nothing (vllm#39863): only tokens count.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chammal_contracts.health import Check, Readiness
from chammal_contracts.stages import BreakerState, FailureType
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_llm_gateway.backend import Backend, BackendFailed
from chammal_llm_gateway.blame import blaming
from chammal_llm_gateway.request import DEFAULT_MODEL
from chammal_llm_gateway.settings import BackendName
from chammal_llm_gateway.trail import NO_BACKEND, Trail

log = component_logger("HealthCheck")

_SLOW = frozenset({FailureType.READ_TIMEOUT, FailureType.DEADLINE_EXCEEDED})


@dataclass(frozen=True, slots=True)
class Probed:
    """A backend, and the same one behind a connection and time-outs of the probes' own."""

    backend: Backend
    prober: Backend
    asks: bool = True
    """It may be asked for a token. A paid one is asked for its list of models, which shows that the key holds."""


class ReadinessProbe:
    def __init__(
        self,
        probed: Sequence[Probed],
        *,
        cache_seconds: float,
        fresh_seconds: float,
        hung_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probed = tuple(probed)
        self._cache_seconds = cache_seconds
        self._fresh_seconds = fresh_seconds
        self._hung_seconds = hung_seconds
        self._clock = clock
        self._known: Readiness | None = None
        self._known_until = 0.0
        self._silent_since: dict[BackendName, float] = {}
        """When a backend was first seen busy and without time for the probe."""
        self._asking = asyncio.Lock()

    async def readiness(self) -> Readiness:
        """Asks the backends in order until one answers. Those after it are not asked."""
        async with self._asking:
            if self._known is None or self._clock() >= self._known_until:
                before, self._known = self._known, await self._ask()
                spread = random.uniform(0.8, 1.2)  # noqa: S311  many gateways shall not ask one backend at once
                self._known_until = self._clock() + self._cache_seconds * spread
                _log_change(before, self._known)
        return self._known

    async def _ask(self) -> Readiness:
        checks: list[Check] = []
        answered: BackendName | None = None
        for probed in self._probed:
            check = await self._check(probed) if answered is None else _unasked(probed.backend, answered)
            checks.append(check)
            if answered is None and check.ready:
                answered = probed.backend.name
        if not checks:
            checks = [Check(name="backends", ready=False, reason="none is configured", hint=NO_BACKEND)]
        failing = [check.name for check in checks if not check.ready]
        return Readiness(ready=answered is not None, degraded=failing if answered else [], checks=checks)

    async def _check(self, probed: Probed) -> Check:
        backend = probed.backend
        upstream = backend.upstream
        if backend.proof.age < self._fresh_seconds and upstream.breaker.state is BreakerState.CLOSED:
            return Check(name=backend.name, ready=True, breaker=upstream.breaker.state)
        started = time.perf_counter()
        ready, reason = True, None
        try:
            with blaming(backend.name, Trail()):
                await _ask(probed)
            upstream.breaker.health_ok()
            self._silent_since.pop(backend.name, None)
        except BackendFailed as failed:
            ready, reason = self._judge(backend, failed)
            probed.prober.names.forget()
        except Problem as problem:
            ready, reason = False, problem.detail
        return Check(
            name=backend.name,
            ready=ready,
            reason=reason,
            hint=None if ready else f"Is {upstream.base_url} running, and does its key hold?",
            breaker=upstream.breaker.state,
            seconds=round(time.perf_counter() - started, 3),
        )

    def _judge(self, backend: Backend, failed: BackendFailed) -> tuple[bool, str]:
        """A backend that works for users may have no time for a probe; one that brings them nothing hangs."""
        upstream = backend.upstream
        busy = upstream.bulkhead.in_flight if failed.failure in _SLOW else 0
        if not busy or upstream.breaker.state is not BreakerState.CLOSED:
            self._silent_since.pop(backend.name, None)
            return False, f"{failed.failure}: {failed.reason}"
        silent = self._clock() - self._silent_since.setdefault(backend.name, self._clock())
        if min(silent, backend.proof.age) < self._hung_seconds:
            return True, f"busy with {busy} calls"
        upstream.breaker.health_failed()  # so that the next backend answers: impatient callers never show that it hangs
        return False, f"it hangs: {busy} calls wait, and no token has come for {self._hung_seconds:g} s"


async def _ask(probed: Probed) -> None:
    """Raises what asking the backend raises."""
    prober = probed.prober
    if not probed.asks:
        await prober.names.listed()
        return
    model = await prober.names.resolve(DEFAULT_MODEL)
    await prober.ask_one_token(str(model))


def _log_change(before: Readiness | None, now: Readiness) -> None:
    if now.ready:
        if before is not None and not before.ready:
            log.info("ready again")
    elif before is None or before.ready:
        log.warning("not ready: %s", "; ".join(f"{check.name}: {check.reason}" for check in now.checks))


def _unasked(backend: Backend, answered: BackendName) -> Check:
    state = backend.upstream.breaker.state
    reason = f"not asked: {answered} answers" if state is not BreakerState.OPEN else "its breaker is open"
    return Check(name=backend.name, ready=state is not BreakerState.OPEN, reason=reason, breaker=state)

"""What each process holds, every five seconds."""

import asyncio
import os
import re
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import httpx2
from bench.soak.mesh import SERVICES, Mesh

EVERY = 5.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_FAILURES = re.compile(r'^chammal_http_requests_total\{.*status="500"\} ([0-9.e+]+)$', re.MULTILINE)
_TASKS = re.compile(r"^chammal_process_tasks ([0-9.e+]+)$", re.MULTILINE)


class Measure(StrEnum):
    MEMORY = "memory, MB"
    DESCRIPTORS = "file descriptors"
    THREADS = "threads"
    TASKS = "tasks"


@dataclass(frozen=True, slots=True)
class Sample:
    seconds: float
    """Since the soak began."""
    pid: int
    values: dict[Measure, float]
    failures: float
    """Requests answered with 500 since the process began."""
    processor: float
    """Seconds used since the process began."""


@dataclass
class Samples:
    mesh: Mesh
    taken: dict[str, list[Sample]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            while True:
                for service in SERVICES:
                    sample = await self._take(service, client)
                    if sample is not None:
                        self.taken.setdefault(service, []).append(sample)
                await asyncio.sleep(EVERY)

    @property
    def failures(self) -> int:
        """Answers with 500 of every process that there was, as of its last sample."""
        last = {(service, one.pid): one.failures for service, taken in self.taken.items() for one in taken}
        return round(sum(last.values()))

    def save(self, path: Path) -> None:
        lines = [
            f"{service},{one.pid},{one.seconds:.0f},"
            + ",".join(str(one.values.get(measure, "")) for measure in Measure)
            for service, taken in self.taken.items()
            for one in taken
        ]
        path.write_text(
            "\n".join(["service,pid,seconds," + ",".join(measure.name.lower() for measure in Measure), *lines])
        )

    async def _take(self, service: str, client: httpx2.AsyncClient) -> Sample | None:
        pid = self.mesh.pid(service)
        if pid is None:
            return None
        try:
            text = (await client.get(f"http://127.0.0.1:{self.mesh.ports[service]}/metrics")).text
            tasks = _TASKS.search(text)
            fields, descriptors = _state(pid)
        except (OSError, httpx2.HTTPError):
            return None
        values = {
            Measure.MEMORY: int(fields[21]) * _PAGE / 1e6,
            Measure.DESCRIPTORS: descriptors,
            Measure.THREADS: float(fields[17]),
        }
        if tasks is not None:
            values[Measure.TASKS] = float(tasks[1])
        used = (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / _TICKS
        failures = sum(float(found) for found in _FAILURES.findall(text))
        return Sample(time.monotonic() - self.started, pid, values, failures, used)


def _state(pid: int) -> tuple[list[str], float]:
    """The fields of /proc/PID/stat from the third on, and how many descriptors are open. Raises OSError."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return fields, float(sum(1 for _ in (folder / "fd").iterdir()))

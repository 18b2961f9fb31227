"""Whether the machine was quiet while something was measured: what other processes took of it meanwhile."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.stt.machine import processor_seconds
from bench.stt.run import report

T = TypeVar("T")
QUIET_CORES = 0.15
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4, 7)
"""Fields of /proc/stat: idle, waiting for a disk, and what the host took away."""
_REST_SECONDS = 0.5
_REST_CORES = 0.25
_LONGEST_REST = 30.0


class Quiet:
    """Measures again what others disturbed, and keeps the quietest."""

    def __init__(self, tries: int, others: list[float]) -> None:
        """`others` gets the cores that other processes took, for each figure that was kept."""
        self._tries = tries
        self._others = others

    def measure(self, what: str, work: Callable[[], T]) -> T:
        found: list[tuple[float, T]] = []
        for _ in range(self._tries):
            _rest()
            begun, others = time.monotonic(), _others_seconds()
            result = work()
            share = (_others_seconds() - others) / (time.monotonic() - begun)
            found.append((share, result))
            if share <= QUIET_CORES:
                break
            report(f"{what}: others took {share:.2f} cores")
        share, kept = min(found, key=lambda pair: pair[0])
        self._others.append(share)
        return kept


def _rest() -> None:
    """Until the turn before has left nothing that is still made: a peer's answer goes on after its first sound."""
    give_up = time.monotonic() + _LONGEST_REST
    while time.monotonic() < give_up:
        busy = _busy_seconds()
        time.sleep(_REST_SECONDS)
        if _busy_seconds() - busy < _REST_CORES * _REST_SECONDS:
            return


def _others_seconds() -> float:
    return _busy_seconds() - processor_seconds(os.getpid())


def _busy_seconds() -> float:
    """Of all cores."""
    fields = list(map(int, Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]))
    return sum(value for place, value in enumerate(fields) if place not in _IDLE) / _TICKS

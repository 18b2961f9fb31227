"""How long a worker may take for a job before it counts as hung.

Counted in turns of our own loop and not by a clock: when the whole service was stopped for a while (a paused container,
a laptop asleep) its workers have not been idle.
"""

from dataclasses import dataclass
from pathlib import Path

TURN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    seconds: float
    """For the job, whatever the worker does."""
    idle_seconds: float
    """Without using any processor time: it is stopped or deadlocked. Known on Linux alone."""


class Watch:
    """Over one job; `turn` after each TURN_SECONDS without an answer."""

    def __init__(self, pid: int, patience: Patience) -> None:
        self._pid = pid
        self._patience = patience
        self._used = processor_ticks(pid)
        self._turns = self._idle_turns = 0

    def turn(self) -> None:
        self._turns += 1
        used = processor_ticks(self._pid)
        self._idle_turns = self._idle_turns + 1 if used is not None and used == self._used else 0
        self._used = used

    @property
    def idles(self) -> bool:
        return self._idle_turns * TURN_SECONDS >= self._patience.idle_seconds

    @property
    def is_over(self) -> bool:
        return self._turns * TURN_SECONDS >= self._patience.seconds


def processor_ticks(pid: int) -> int | None:
    """Of all threads, in hundredths of a second; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])

"""How long the caller will still wait. It travels between services as remaining seconds."""

import math
import time
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on this process's monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    @classmethod
    def from_header(cls, value: str) -> "Deadline":
        """Raises ValueError when `value` is not a finite number of seconds."""
        seconds = float(value)
        if not math.isfinite(seconds):
            raise ValueError(f"not a number of seconds: {value!r}")
        return cls.after(seconds)

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self.at

    def header(self) -> str:
        return f"{self.remaining():.3f}"


_current: ContextVar[Deadline | None] = ContextVar("chammal_deadline", default=None)


def current_deadline() -> Deadline | None:
    return _current.get()


def set_deadline(deadline: Deadline | None) -> None:
    """For the rest of this task and what it starts."""
    _current.set(deadline)

"""What an upstream tells its observers: frozen records. The mechanism knows neither metrics nor logs."""

from collections.abc import Callable
from dataclasses import dataclass

from chammal_contracts.stages import FailureType
from chammal_kit.breaker import BreakerEvent
from chammal_kit.hedge import Hedged
from chammal_kit.retry import RetryEvent


@dataclass(frozen=True, slots=True)
class UpstreamCreated:
    """The first event of every upstream; the functions read what it is doing now."""

    upstream: str
    in_flight: Callable[[], int]
    waiting: Callable[[], int]


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """One try, sent or refused. Neither `failure` nor `cancelled` means that it went well."""

    upstream: str
    failure: FailureType | None
    cancelled: bool
    seconds: float
    slow: bool = False
    """By the share that the breaker's policy names."""


UpstreamEvent = UpstreamCreated | AttemptEnded | RetryEvent | Hedged | BreakerEvent
UpstreamObserver = Callable[[UpstreamEvent], None]
"""Called in line, so it must be quick and must not raise."""

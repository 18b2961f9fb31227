"""How many requests a service lets in at once, learned from how long their work waits for the model.

The signal is CoDel's: time spent in the queue, not time of service, since a clip takes a second and a call minutes.
(Envoy's gradient and Netflix's compare round trips with their minimum, which says nothing where work differs so much.)
CoDel takes the least wait of an interval, as its queue is first come, first served; here pieces that suit a batch
overtake, so it is the median. The answer is Netflix's: a limit that shrinks by how much the wait is too long, and grows
slowly while it is reached. Whoever finds it full is refused at once, before its body is read.
"""

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chammal_contracts.errors import ErrorCode
from chammal_kit.deadline import current_deadline
from chammal_kit.problems import Problem

_NEAR = 0.75
"""Of the target: the limit grows below it, and stays as it is between the two."""
_STEEPEST = 0.5
"""The most by which it shrinks at once."""
_GROWTH = 1 / 8
_SAMPLES = 3
"""Fewer tell nothing: one may have waited long for reasons of its own."""
_RATE_WEIGHT = 0.3
"""Of the newest interval, in the drain rate."""
_RETRY_SECONDS = 1, 60
_PROMPT_SECONDS = 2.0
"""A request body that takes longer keeps nobody out while it comes."""


class LimitPolicy(BaseModel):
    model_config = ConfigDict(frozen=True)

    wait_seconds: float = Field(default=2.0, gt=0)
    """How long work may wait for the model."""
    least: int = Field(default=4, ge=1)
    """What keeps the model busy. The limit never falls below it."""
    most: int = Field(default=64, ge=1)
    start: int = Field(default=16, ge=1)
    interval_seconds: float = Field(default=1.0, gt=0)
    """Shortest time between two changes."""


class ShedReason(StrEnum):
    FULL = "full"
    TOO_LATE = "too_late"
    """It would not have been done before its caller's deadline."""


class Limiter:
    """`with limiter.admit(): …` for each request, and `limiter.waited(…)` for each piece of work the model takes up."""

    def __init__(
        self,
        name: str,
        policy: LimitPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_shed: Callable[[ShedReason], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.policy = policy
        self.in_flight = 0
        self.drain_rate: float | None = None
        """Requests a second that leave while others are refused, or at least `least` are there; None until then."""
        self._least = min(policy.least, policy.most)
        self._limit = float(max(self._least, min(policy.start, policy.most)))
        self._clock = clock
        self._on_shed = on_shed
        self._waits: list[float] = []
        self._reached = False
        self._adapted_at = self._counted_from = clock()
        self._lowered_at = -math.inf
        self._done = 0
        self._fewest = 0
        self._refused = False

    @property
    def limit(self) -> int:
        return int(self._limit)

    def admit(self) -> "Permit":
        """A place until the permit leaves. Raises Problem where there is none, or the caller's deadline is too near."""
        if self.in_flight >= self.limit:
            self._reached = self._refused = True
            raise self._shed(ShedReason.FULL, "As much is being done here as can be in good time.")
        deadline = current_deadline()
        expected = self._expected_seconds()
        if deadline is not None and deadline.remaining() < expected:
            detail = f"It would take about {expected:.1f} s here now, and the caller waits no more than"
            raise self._shed(ShedReason.TOO_LATE, f"{detail} {deadline.remaining():.1f} s.")
        permit = Permit(self)
        permit.enter()
        return permit

    def waited(self, seconds: float, taken: bool = True) -> None:
        """Of what was let in before the limit was last lowered nothing is learned: it met a longer queue. Work that was
        not `taken`, as nobody waits for it any more, tells something only where that was too long already."""
        now = self._clock()
        if now - seconds >= self._lowered_at and (taken or seconds > self.policy.wait_seconds):
            self._waits.append(seconds)
        if len(self._waits) >= _SAMPLES and now - self._adapted_at >= self.policy.interval_seconds:
            self._adapt(statistics.median(self._waits), now)

    def entered(self) -> None:
        self.in_flight += 1
        self._reached = self._reached or self.in_flight >= self.limit

    def left(self, *, done: bool) -> None:
        self.in_flight -= 1
        self._done += done
        self._fewest = min(self._fewest, self.in_flight + done)
        now = self._clock()
        if now - self._counted_from >= self.policy.interval_seconds:
            self._learn_rate(now)

    def _adapt(self, wait: float, now: float) -> None:
        target = self.policy.wait_seconds
        if wait > target:
            self._limit = max(self._least, self._limit * max(_STEEPEST, target / wait))
            self._lowered_at = now
        elif wait < target * _NEAR and self._reached:
            self._limit = min(self.policy.most, self._limit + max(1.0, self._limit * _GROWTH))
        self._adapted_at = now
        self._waits = []
        self._reached = False

    def _learn_rate(self, now: float) -> None:
        if (self._refused or self._fewest >= self._least) and self._done:
            rate = self._done / (now - self._counted_from)
            known = self.drain_rate
            self.drain_rate = rate if known is None else known + _RATE_WEIGHT * (rate - known)
        self._counted_from = now
        self._done = 0
        self._fewest = self.in_flight
        self._refused = False

    def _expected_seconds(self) -> float:
        """In which what is here is done, where there is enough of it to tell."""
        busy = self.in_flight >= self._least
        return self.in_flight / self.drain_rate if busy and self.drain_rate else 0.0

    def _shed(self, reason: ShedReason, detail: str) -> Problem:
        self._on_shed(reason)
        soonest, latest = _RETRY_SECONDS
        wait = math.ceil(min(latest, max(soonest, self._expected_seconds())))
        headers = {"Retry-After": str(wait)}
        return Problem(503, ErrorCode.OVERLOADED, f"{detail} Try again in {wait} s.", headers=headers)


class Permit:
    """A place under the limit. What stands aside takes none, and comes back without being asked again."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._inside = False

    def enter(self) -> None:
        if not self._inside:
            self._inside = True
            self._limiter.entered()

    def leave(self) -> None:
        self._go(done=True)

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """The body is being read. One that trickles stands aside meanwhile."""
        aside = asyncio.get_running_loop().call_later(_PROMPT_SECONDS, self.stand_aside)
        try:
            yield
        finally:
            aside.cancel()
        self.enter()

    def stand_aside(self) -> None:
        """For work that would keep others out for too long: an upload that trickles, a recording of hours."""
        self._go(done=False)

    def _go(self, *, done: bool) -> None:
        if self._inside:
            self._inside = False
            self._limiter.left(done=done)

    def __enter__(self) -> "Permit":
        return self

    def __exit__(self, *_: Any) -> None:
        self.leave()

"""A second try for a call that takes longer than it should. The first answer is the answer, the other is cancelled.

Only for what may be done twice, and only where it is asked for: `upstream.request(…, hedge=Hedge(seconds=1))`.
"""

import asyncio
import statistics
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

_REMEMBERED = 128
_ENOUGH = 20
"""Answers, for a 95th percentile that means something."""
_ENDPOINTS = 32


class Hedge(BaseModel):
    model_config = ConfigDict(frozen=True)

    seconds: float | None = Field(default=None, ge=0)
    """How long the first try has for itself. None: the 95th percentile of the last answers from the same endpoint that
    were asked for with a hedge, and no hedge until there are 20."""


class HedgeOutcome(StrEnum):
    WON = "won"
    """The second try answered first."""
    LOST = "lost"
    REFUSED = "refused"
    """Not sent: the budget was spent, the breaker not closed, or no slot free."""


@dataclass(frozen=True, slots=True)
class Hedged:
    upstream: str
    outcome: HedgeOutcome


@dataclass(frozen=True, slots=True)
class Race(Generic[T]):
    value: T
    second_won: bool
    superseded: bool
    """The other was still running, and was cancelled."""


class Latencies:
    """Seconds of the last answers, by endpoint."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], deque[float]] = {}

    def note(self, endpoint: tuple[str, str], seconds: float) -> None:
        known = self._seconds.get(endpoint)
        if known is None:
            if len(self._seconds) >= _ENDPOINTS:
                return
            known = self._seconds[endpoint] = deque(maxlen=_REMEMBERED)
        known.append(seconds)

    def p95(self, endpoint: tuple[str, str]) -> float | None:
        known = self._seconds.get(endpoint, ())
        return statistics.quantiles(known, n=20)[-1] if len(known) >= _ENOUGH else None


async def race(attempt: Callable[[], Awaitable[T]], wait: float, may_hedge: Callable[[], bool]) -> Race[T]:
    """`may_hedge` is asked once, when the first try has had `wait` seconds. Where both fail, the first one's error."""
    tries = [asyncio.ensure_future(attempt())]
    try:
        await asyncio.wait(tries, timeout=wait)
        if not tries[0].done() and may_hedge():
            tries.append(asyncio.ensure_future(attempt()))
        running = set(tries)
        while running:
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for one in tries:
                if one.done() and not one.cancelled() and one.exception() is None:
                    return Race(one.result(), one is not tries[0], bool(running))
        return Race(tries[0].result(), second_won=False, superseded=False)
    finally:
        for one in tries:
            one.cancel()
        await asyncio.gather(*tries, return_exceptions=True)

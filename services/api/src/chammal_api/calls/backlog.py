"""How many calls may wait. More are refused at the door, with the time after which there is room again."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from chammal_api.calls.call_metrics import OLDEST, QUEUED, REFUSED, RUNNING, STORED, WAITING
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

FRESH_SECONDS = 1.0
"""How long the store's counts are believed; those admitted since are added."""
SHORTEST_SECONDS, LONGEST_SECONDS = 5, 600
_GUESSED_SECONDS = 60.0
"""A call takes, until some have ended."""
_WEIGHT = 0.1


class Counts(Protocol):
    @property
    def queued(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def healing(self) -> int: ...
    @property
    def oldest_heal_seconds(self) -> float: ...
    @property
    def stored_bytes(self) -> int: ...


class Counted(Protocol):
    async def counts(self) -> Counts: ...


class Backlog:
    def __init__(
        self, store: Counted, max_queued: int, at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._max_queued = max_queued
        self._at_once = max(1, at_once)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._counts: Counts | None = None
        self._failure: SQLAlchemyError | None = None
        self._failed_at = -math.inf
        self._until = -math.inf
        self._admitted = 0
        self._call_seconds = _GUESSED_SECONDS

    async def admit(self) -> None:
        """Raises Problem 429. To be asked before anything of a call is read."""
        counts = await self.counts()
        over = counts.queued + self._admitted - self._max_queued
        if over >= 0:
            REFUSED.inc()
            raise self._full(over + 1)
        self._admitted += 1

    async def counts(self) -> Counts:
        """Raises SQLAlchemyError: at once for all who waited when the store did not answer, as many as they are."""
        came = self._clock()
        async with self._lock:
            if self._failure is not None and came <= self._failed_at:
                raise self._failure.with_traceback(None)
            if self._counts is None or self._clock() >= self._until:
                self._counts, self._failure, self._admitted = None, None, 0
                try:
                    counts = await self._store.counts()
                except SQLAlchemyError as error:
                    self._failure, self._failed_at = error, self._clock()
                    raise
                self._counts = counts
                self._until = self._clock() + FRESH_SECONDS
                _show(counts)
            return self._counts

    def forget(self) -> None:
        """Somebody else has met a store that does not answer: the next who asks is not told what was before."""
        self._until = -math.inf

    def ended(self, seconds: float) -> None:
        """A call was analysed, which took so long."""
        self._call_seconds += _WEIGHT * (seconds - self._call_seconds)

    def _full(self, over: int) -> Problem:
        wait = math.ceil(over * self._call_seconds / self._at_once)
        retry_after = min(max(wait, SHORTEST_SECONDS), LONGEST_SECONDS)
        return Problem(
            429,
            ErrorCode.BACKLOG_FULL,
            f"{self._max_queued:,} calls wait already, which is as many as may. Send it again in {retry_after} s.",
            headers={"Retry-After": str(retry_after)},
        )


def _show(counts: Counts) -> None:
    QUEUED.set(counts.queued)
    RUNNING.set(counts.running)
    WAITING.set(counts.healing)
    OLDEST.set(counts.oldest_heal_seconds)
    STORED.set(counts.stored_bytes)

"""Bounded concurrency for one upstream: so many calls at once, so many waiting a short while, no more."""

import asyncio
from collections import OrderedDict


class BulkheadFull(Exception):
    """No slot became free. `retry_after` is in seconds."""

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(name, retry_after)
        self.name = name
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"too many calls to {self.name}; try again in {self.retry_after:.1f} s"


class Bulkhead:
    """First come, first served. Every `acquire` that returns needs one `release`, which never waits."""

    def __init__(
        self, name: str, concurrency: int, queue: int, queue_seconds: float = 0.5, retry_after: float = 1.0
    ) -> None:
        self.name = name
        self.concurrency = concurrency
        self.queue = queue
        self.queue_seconds = queue_seconds
        self.retry_after = retry_after
        self.in_flight = 0
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def acquire(self, seconds: float | None = None) -> None:
        """Take a slot, waiting at most `queue_seconds` and never more than `seconds`; raises BulkheadFull."""
        if self.in_flight < self.concurrency:
            self.in_flight += 1
            return
        if len(self._waiting) >= self.queue:
            raise BulkheadFull(self.name, self.retry_after)
        await self._wait(self.queue_seconds if seconds is None else min(seconds, self.queue_seconds))

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting[turn] = None
        timer = loop.call_later(seconds, self._expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.pop(turn, None)
            elif turn.exception() is None:  # the slot was ours already
                self.release()
            raise
        finally:
            timer.cancel()

    def _expire(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            del self._waiting[turn]
            turn.set_exception(BulkheadFull(self.name, self.retry_after))

    def release(self) -> None:
        """Hand the slot to the first who waits, or free it."""
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():  # else its caller gave up, and has not run since
                turn.set_result(None)
                return
        self.in_flight -= 1

"""Who may come in. Short recordings come under a limit that adapts; long ones have places of their own, and a queue.

Nobody knows how long a recording is before it is decoded, so a small upload is taken for a short recording until then.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, nullcontext

from chammal_contracts.errors import ErrorCode
from chammal_kit.bulkhead import Bulkhead, BulkheadFull
from chammal_kit.limit_metrics import counted_limiter
from chammal_kit.limiter import Limiter, LimitPolicy, Permit
from chammal_kit.problems import Problem
from chammal_stt.metrics import QUEUE_DEPTH
from chammal_stt.settings import SttSettings

LONG_BYTES = 3 << 20
"""No recording of 15 s is larger, unless its samples are finer than a CD's."""
_RETRY_SECONDS = 5.0


class Admission:
    def __init__(self, settings: SttSettings) -> None:
        self.limiter: Limiter = counted_limiter("stt", _policy(settings))
        self._uploads = {True: 0, False: 0}
        self._most_uploads = {True: max(1, settings.max_uploads // 2), False: settings.max_uploads}
        """Of long recordings, and of short ones."""
        self._long = Bulkhead(
            "stt", settings.concurrency, settings.queue, settings.queue_seconds, retry_after=_RETRY_SECONDS
        )
        self._long_decodes = asyncio.Semaphore(max(1, settings.decoders - 1))
        QUEUE_DEPTH.set_function(lambda: self._long.waiting)

    def admit(self, declared: int | None) -> "Visit":
        """Before a byte of the upload is read; `declared` is its Content-Length. Never waits. Raises Problem."""
        long = declared is not None and declared > LONG_BYTES
        if self._uploads[long] >= self._most_uploads[long]:
            raise _overloaded("As many uploads are being received as may be at once.", 1.0)
        if not long:
            return Visit(self, self.limiter.admit(), long=False)
        if self._long.in_flight >= self._long.concurrency and self._long.waiting >= self._long.queue:
            raise _all_taken()
        return Visit(self, None, long=True)

    @contextmanager
    def uploading(self, visit: "Visit") -> Iterator[None]:
        long = visit.long
        self._uploads[long] += 1
        try:
            with visit.receiving():
                yield
        finally:
            self._uploads[long] -= 1

    def decoding(self, visit: "Visit") -> AbstractAsyncContextManager[object]:
        """Long recordings leave one decoder free, where there is more than one."""
        return self._long_decodes if visit.long else nullcontext()

    async def take_long_place(self) -> None:
        try:
            await self._long.acquire()
        except BulkheadFull:
            raise _all_taken() from None

    def release_long_place(self) -> None:
        self._long.release()


class Visit:
    """One recording, from the door to its transcript. Leaving twice is one leaving."""

    def __init__(self, admission: Admission, permit: Permit | None, *, long: bool) -> None:
        self.long = long
        """It is, or is taken for, a long recording."""
        self._admission = admission
        self._permit = permit
        self._has_place = False

    def receiving(self) -> AbstractContextManager[None]:
        return nullcontext() if self._permit is None else self._permit.receiving()

    async def begin(self) -> None:
        """A long recording waits for its place. Raises Problem."""
        if self.long and not self._has_place:
            await self._admission.take_long_place()
            self._has_place = True

    async def turned_out_long(self) -> None:
        """It makes room for short ones and takes a place among the long. Raises Problem."""
        self.long = True
        if self._permit is not None:
            self._permit.stand_aside()
            self._permit = None
        await self.begin()

    def leave(self) -> None:
        if self._permit is not None:
            self._permit.leave()
        if self._has_place:
            self._has_place = False
            self._admission.release_long_place()


def _policy(settings: SttSettings) -> LimitPolicy:
    """At least so many that every recogniser is at work and one waits. A batch for each would be 20 s of work on a slow
    machine; where there is time for batches, the waits are short and the limit grows."""
    least = settings.limit_least or settings.worker_count + 1
    return LimitPolicy(wait_seconds=settings.limit_wait_seconds, least=least, most=settings.limit_most, start=2 * least)


def _all_taken() -> Problem:
    return _overloaded("As many long recordings are being read, and wait, as may be.", _RETRY_SECONDS)


def _overloaded(detail: str, retry_after: float) -> Problem:
    headers = {"Retry-After": str(max(1, round(retry_after)))}
    return Problem(503, ErrorCode.OVERLOADED, f"{detail} Send it again a little later.", headers=headers)

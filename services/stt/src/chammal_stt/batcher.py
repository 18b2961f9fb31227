"""Pieces of all requests that wait, decoded together.

What a person waits for goes first. A batch is led by the piece that is most urgent and has waited longest; pieces that
can be decoded with it, and do not hold it up, ride along. Long recordings leave one recogniser free
while others have come lately: a batch of theirs lasts seconds.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import islice

from chammal_contracts.errors import ErrorCode
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_stt.messages import SAMPLE_RATE, Piece, Recognition
from chammal_stt.metrics import BATCH_PIECES, PIECES_WAITING
from chammal_stt.pool import StartFailed
from chammal_stt.recogniser import BatchFailed, Recogniser
from chammal_stt.worker import Worker, WorkerDied, WorkerHung

log = component_logger("STT")

_RIDER_SECONDS = 4.0
"""A rider of the same priority may be longer than the piece that leads by so much."""
_TRIES = 2
_TRIES_AMONG_DEATHS = 5
"""While something else kills workers, such as a lack of memory."""
_LATELY_SECONDS = 10.0


class Priority(IntEnum):
    """Lower goes first."""

    FINAL = 0
    SHORT = 1
    PARTIAL = 2
    LONG = 3


@dataclass(slots=True, eq=False)
class _Waiting:
    descriptor: int
    piece: Piece
    priority: Priority
    answer: "asyncio.Future[Recognition]"
    deaths_before: int
    """Of workers, when it came."""
    came: float
    failures: int = 0
    """Of batches that it was in. From the first on it is tried by itself, to tell whether it is the cause."""

    @property
    def seconds(self) -> float:
        return self.piece.samples / SAMPLE_RATE

    @property
    def likeness(self) -> Piece:
        """Equal for pieces that one batch can hold."""
        language = self.piece.language if self.piece.words else None
        return replace(
            self.piece, first=0, samples=0, channel=0, channels=1, language=language, voice=False, voice_from=0
        )


class Batcher:
    """Cancelling a call drops its piece from the queue; a batch that runs goes on and the answer is left unread."""

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        size: int,
        queue: int,
        wait_seconds: float,
        short_waited: Callable[[float, bool], None] = lambda *_: None,
    ) -> None:
        """`short_waited` is told how long each piece of a short recording waited, and whether it was taken up then."""
        self.recogniser = recogniser
        self._short_waited = short_waited
        self._size = size
        self._long_size = max(1, size // 2)  # larger batches of long pieces save nothing, and hold up the rest
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._waiting: dict[Priority, deque[_Waiting]] = {priority: deque() for priority in Priority}
        self._changed = asyncio.Event()
        self._decoding: set[_Waiting] = set()
        self._long_batches = 0
        self._short_came = -math.inf
        self._feeders: list[asyncio.Task[None]] = []
        self.in_flight = 0
        """Pieces that wait or are decoded."""

    async def recognise(self, descriptor: int, piece: Piece, priority: Priority) -> Recognition:
        """`descriptor` is a file of 16 kHz s16 samples that stays open until this returns. Raises Problem."""
        if self.waiting >= self._queue:
            detail = "Too many pieces of audio wait for a recogniser. Send it again a little later."
            raise Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": "5"})
        self._start()
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        waiting = _Waiting(descriptor, piece, priority, answer, self.recogniser.deaths, loop.time())
        self._waiting[priority].append(waiting)
        if priority is not Priority.LONG:
            self._short_came = waiting.came
        self._changed.set()
        self.in_flight += 1
        PIECES_WAITING.inc()
        try:
            return await waiting.answer
        finally:
            self.in_flight -= 1
            PIECES_WAITING.dec()

    @property
    def waiting(self) -> int:
        return sum(1 for _ in self._everyone())

    async def aclose(self) -> None:
        """Whoever still waits is told to send it again."""
        detail = "The service is being shut down, or the model was unloaded. Send it again."
        for waiting in [*self._decoding, *self._everyone()]:
            if not waiting.answer.done():
                closing = Problem(503, ErrorCode.MODEL_UNAVAILABLE, detail, headers={"Retry-After": "2"})
                waiting.answer.set_exception(closing)
        for feeder in self._feeders:
            feeder.cancel()
        await asyncio.gather(*self._feeders, return_exceptions=True)
        await self.recogniser.pool.aclose()

    def _start(self) -> None:
        if not self._feeders:
            self._feeders = [asyncio.create_task(self._feed()) for _ in range(self.recogniser.pool.size)]

    async def _feed(self) -> None:
        while True:
            while self._lead() is None:
                self._changed.clear()
                await self._changed.wait()
            batch: list[_Waiting] = []
            try:
                async with self.recogniser.pool.lease() as worker:
                    await self._gather()
                    batch = self._pick()
                    if batch:
                        await self._decode(worker, batch)
            except StartFailed as error:
                self._fail_all(error)
            except (WorkerDied, BatchFailed) as error:
                self._try_alone(batch, error)

    async def _decode(self, worker: Worker, batch: list[_Waiting]) -> None:
        BATCH_PIECES.observe(len(batch))
        long = batch[0].priority is Priority.LONG
        self._long_batches += long
        self._decoding.update(batch)
        try:
            descriptors = [waiting.descriptor for waiting in batch]
            found = await self.recogniser.run(worker, descriptors, [waiting.piece for waiting in batch])
        finally:
            self._long_batches -= long
            self._decoding.difference_update(batch)
            self._changed.set()
        for waiting, recognition in zip(batch, found, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(recognition)

    async def _gather(self) -> None:
        """Lets others arrive, when a setting says so."""
        if self._wait_seconds and self.waiting < self._size:
            await asyncio.sleep(self._wait_seconds)

    def _lead(self) -> _Waiting | None:
        """The piece that goes next, if one may."""
        lead = next(self._everyone(), None)
        if lead is None or lead.priority is not Priority.LONG:
            return lead
        lately = asyncio.get_running_loop().time() - self._short_came < _LATELY_SECONDS
        return lead if self._long_batches < max(1, self.recogniser.pool.size - lately) else None

    def _pick(self) -> list[_Waiting]:
        lead = self._lead()
        if lead is None:
            return []
        batch = [lead]
        size = self._long_size if lead.priority is Priority.LONG else self._size
        if not lead.failures:
            riders = (other for other in self._everyone() if other is not lead and _rides(other, lead))
            batch += islice(riders, size - 1)
        for waiting in batch:
            self._waiting[waiting.priority].remove(waiting)
            self._tell_wait(waiting, taken=True)
        return batch

    def _tell_wait(self, waiting: _Waiting, *, taken: bool) -> None:
        if waiting.priority is Priority.SHORT:
            self._short_waited(asyncio.get_running_loop().time() - waiting.came, taken)

    def _everyone(self) -> Iterator[_Waiting]:
        """In order of urgency; what nobody waits for any more is dropped on the way."""
        for queue in self._waiting.values():
            for waiting in list(queue):
                if waiting.answer.done():
                    queue.remove(waiting)
                    self._tell_wait(waiting, taken=False)
                else:
                    yield waiting

    def _try_alone(self, batch: list[_Waiting], error: WorkerDied | BatchFailed) -> None:
        for waiting in reversed(batch):
            if waiting.answer.done():
                continue
            waiting.failures += 1
            if self._is_cause(waiting, error):
                waiting.answer.set_exception(_refusal(error))
            else:
                self._waiting[waiting.priority].appendleft(waiting)
        self._changed.set()

    def _is_cause(self, waiting: _Waiting, error: WorkerDied | BatchFailed) -> bool:
        """It failed twice, the second time alone; unless workers that did not have it died meanwhile as well."""
        if isinstance(error, WorkerHung):  # each may have been stopped before it got the piece
            return waiting.failures > self.recogniser.pool.size
        if waiting.failures < _TRIES or isinstance(error, BatchFailed):
            return waiting.failures >= _TRIES
        other_deaths = self.recogniser.deaths - waiting.deaths_before - waiting.failures
        return other_deaths <= 0 or waiting.failures >= _TRIES_AMONG_DEATHS

    def _fail_all(self, error: StartFailed) -> None:
        for waiting in self._everyone():
            waiting.answer.set_exception(unavailable(error))


def _rides(other: _Waiting, lead: _Waiting) -> bool:
    if other.failures or other.likeness != lead.likeness:
        return False
    if lead.piece.words and lead.piece.language is None:  # words are aligned in one language
        return False
    longest = lead.seconds + (_RIDER_SECONDS if other.priority is lead.priority else 0.0)
    return lead.seconds / 2 - 1 <= other.seconds <= longest


def _refusal(error: WorkerDied | BatchFailed) -> Problem:
    if isinstance(error, BatchFailed):
        log.error("The recogniser failed: %s", error)
        return Problem(500, ErrorCode.STAGE_FAILED, "The recogniser failed on the recording; its log has the cause.")
    if isinstance(error, WorkerHung):
        detail = "Every recogniser hung and was replaced. Send it again."
        return Problem(503, ErrorCode.WORKER_DIED, detail, headers={"Retry-After": "5"})
    detail = "The recogniser processes that worked on the recording ended, one after another. It is not tried again."
    return Problem(422, ErrorCode.AUDIO_UNPROCESSABLE, detail)


def unavailable(error: StartFailed) -> Problem:
    extensions = {"command": error.hint} if error.hint else {}
    return Problem(
        503, ErrorCode.MODEL_UNAVAILABLE, f"No recogniser: {error}", headers={"Retry-After": "10"}, **extensions
    )

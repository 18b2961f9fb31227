"""A person's speech on its way to stt, over a stream that comes and goes while the session stays.

It is opened when audio comes. When stt is lost, the newest audio is kept and the rest is counted as lost; what was
being said then gets no text. Utterances are numbered, and times reckoned, over all streams of the session.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from chammal_api.clients.failure import failed_stage
from chammal_api.clients.stream import note_loss, open_stream
from chammal_api.realtime.metrics import LOST_AUDIO
from chammal_api.settings import ApiSettings
from chammal_contracts.live import (
    SERVER_EVENT,
    AudioEncoding,
    CloseCode,
    Commit,
    Committed,
    Done,
    Final,
    Finish,
    LiveError,
    Partial,
    Ready,
    SpeechStarted,
    SpeechStopped,
    Start,
)
from chammal_contracts.stages import FailureType, Stage, StageReport, StageStatus
from chammal_kit.logs import component_logger
from chammal_kit.upstream import Upstream, UpstreamError

log = component_logger("Hearing")

_PATH = "/v1/stream"
_QUEUED_SECONDS = 60.0
"""Of audio that stt has not taken yet; whoever brings more waits."""
_KEPT_SECONDS = 2.0
"""Of the newest audio, while stt is lost."""
_PING_SECONDS = 5.0
_FIRST_REST = 0.25
_LONGEST_REST = 5.0


@dataclass(frozen=True, slots=True)
class Lost:
    """stt is gone. All that was being said gets no text."""

    report: StageReport


@dataclass(frozen=True, slots=True)
class Back:
    report: StageReport
    lost_ms: int


_Numbered = SpeechStarted | Partial | SpeechStopped | Final | Committed | LiveError
HearingEvent = _Numbered | Lost | Back


@dataclass(frozen=True, slots=True)
class _Audio:
    data: bytes
    seconds: float

    def cut(self, seconds: float) -> "tuple[_Audio, _Audio | None]":
        """Between two samples, whatever their size."""
        at = int(len(self.data) * seconds / self.seconds) // 2 * 2
        if at >= len(self.data):
            return self, None
        before = self.seconds * at / len(self.data)
        return _Audio(self.data[:at], before), _Audio(self.data[at:], self.seconds - before)


class _Gone(Exception):
    """The stream ended, and not because we wanted it."""


class Hearing:
    """`tell` is called in line, with times in seconds from the first sample of the session."""

    def __init__(
        self, stt: Upstream, start: Start, tell: Callable[[HearingEvent], None], settings: ApiSettings
    ) -> None:
        self._stt = stt
        self._tell = tell
        self._silent_seconds = settings.realtime_stt_seconds
        self._start = self._newest = start
        self._queue: deque[_Audio | Commit | Start] = deque()
        self._queued = 0.0
        """Seconds of audio."""
        self._passed = 0.0
        """Seconds of audio that were sent, or lost."""
        self._stirred = asyncio.Event()
        self._moved = asyncio.Event()
        self._lost: StageReport | None = None
        self._lost_seconds = self._rest = 0.0

    @property
    def lost(self) -> StageReport | None:
        """What became of stt, while it is gone."""
        return self._lost

    def configure(self, start: Start) -> None:
        """For the audio that comes from now on."""
        if start != self._newest:
            self._newest = start
            self._queue.append(start)
            self._stirred.set()

    async def hear(self, data: bytes) -> float:
        """Seconds that it lasts. Waits while stt takes it more slowly than it comes."""
        while self._lost is None and self._queued > _QUEUED_SECONDS:
            self._moved.clear()
            await self._moved.wait()
        audio = _Audio(data, len(data) / _bytes_a_second(self._newest))
        self._queue.append(audio)
        self._queued += audio.seconds
        self._forget_the_oldest()
        self._stirred.set()
        return audio.seconds

    def commit(self) -> None:
        """Ends the utterance at hand; Committed tells which. Lost comes in its place where stt is gone meanwhile."""
        self._queue.append(Commit())
        self._stirred.set()

    async def run(self) -> NoReturn:
        utterances = 0
        while True:
            await self._until_audio()
            try:
                connection = await open_stream(self._stt, _PATH)
            except UpstreamError as error:
                await self._lose(error)
                continue
            stream = _Stream(self, connection, self._start, self._passed, utterances)
            try:
                await stream.run(self._silent_seconds)
            except _Gone as gone:
                note_loss(self._stt)
                await self._lose(UpstreamError(self._stt.name, FailureType.CONNECTION_LOST, str(gone)))
            finally:
                utterances = stream.utterances
                await connection.close(CloseCode.SHUTTING_DOWN)

    async def _until_audio(self) -> None:
        while True:
            while self._queue and isinstance(start := self._queue[0], Start):
                self._start = start
                self._queue.popleft()
            if self._queue or self._lost is not None:  # it is told when stt is back, also to who is silent
                return
            await self._until_stirred()

    async def _until_stirred(self) -> None:
        self._stirred.clear()
        await self._stirred.wait()

    async def next(self) -> _Audio | Commit | Start:
        """What is to be sent."""
        while not self._queue:
            await self._until_stirred()
        item = self._queue.popleft()
        if isinstance(item, _Audio):
            self._pass(item)
        return item

    def put_back(self, start: Start) -> None:
        self._queue.appendleft(start)

    def _pass(self, audio: _Audio) -> None:
        self._queued -= audio.seconds
        self._passed += audio.seconds
        self._moved.set()

    async def _lose(self, error: UpstreamError) -> None:
        """Tells it once, and rests."""
        report = failed_stage(Stage.STT, error, self._stt.breaker.state).report
        first = self._lost is None
        self._lost = report
        self._queue = deque(item for item in self._queue if not isinstance(item, Commit))
        self._moved.set()
        self._forget_the_oldest()
        if first:
            log.warning("stt is gone: %s", report.error)
            self._tell(Lost(report))
        self._rest = min(max(error.retry_after or 0.0, self._rest * 2, _FIRST_REST), _LONGEST_REST)
        await asyncio.sleep(self._rest)

    def _forget_the_oldest(self) -> None:
        while self._lost is not None and self._queued > _KEPT_SECONDS:
            oldest = self._queue.popleft()
            if isinstance(oldest, Start):
                self._start = oldest
            elif isinstance(oldest, _Audio):
                lost, kept = oldest.cut(self._queued - _KEPT_SECONDS)
                self._pass(lost)
                self._lost_seconds += lost.seconds
                LOST_AUDIO.inc(lost.seconds)
                if kept is not None:
                    self._queue.appendleft(kept)
                    return

    def found(self) -> None:
        """stt takes audio."""
        self._rest = 0.0
        if self._lost is None:
            return
        self._lost = None
        lost_ms, self._lost_seconds = round(self._lost_seconds * 1000), 0.0
        log.info("stt is back; %d ms of audio were lost", lost_ms)
        self.tell(Back(StageReport(stage=Stage.STT, status=StageStatus.OK, breaker=self._stt.breaker.state), lost_ms))

    def tell(self, event: HearingEvent) -> None:
        self._tell(event)


class _Stream:
    """One connection to stt. `zero` is the session's second at which it begins."""

    def __init__(
        self, hearing: Hearing, connection: ClientConnection, start: Start, zero: float, utterances: int
    ) -> None:
        self._hearing = hearing
        self._connection = connection
        self._start = start
        self._zero = zero
        self._before = utterances
        self.utterances = utterances
        """Of the session so far."""
        self._heard = 0
        self._commits = 0
        """Not answered yet."""

    async def run(self, silent_seconds: float) -> None:
        """Until it ended as it should. Raises _Gone."""
        receiving = asyncio.create_task(self._receive())
        watching = asyncio.create_task(self._watch(silent_seconds))
        sending = asyncio.create_task(self._send())
        try:
            done, _ = await asyncio.wait((receiving, watching, sending), return_when=asyncio.FIRST_COMPLETED)
            if sending in done:
                await sending
                done, _ = await asyncio.wait((receiving, watching), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
            for _ in range(self._commits):
                self._hearing.tell(Committed(utterance=None))
        finally:
            for task in (receiving, watching, sending):
                task.cancel()
            await asyncio.wait((receiving, watching, sending))

    async def _send(self) -> None:
        """What it is that cannot be sent, `_receive` says."""
        with suppress(ConnectionClosed):
            await self._connection.send(self._start.model_dump_json())
            while True:
                item = await self._hearing.next()
                if isinstance(item, _Audio):
                    await self._connection.send(item.data)
                elif isinstance(item, Commit):
                    self._commits += 1
                    await self._connection.send(item.model_dump_json())
                elif item != self._start:
                    self._hearing.put_back(item)
                    await self._connection.send(Finish().model_dump_json())
                    return

    async def _receive(self) -> None:
        cause = ""
        try:
            while True:
                event = SERVER_EVENT.validate_json(await self._connection.recv())
                self._heard += 1
                if isinstance(event, Ready):
                    self._hearing.found()
                elif isinstance(event, LiveError) and event.fatal:
                    cause = event.detail
                elif not isinstance(event, Done):
                    self._commits -= isinstance(event, Committed)
                    self._hearing.tell(self._reckoned(event))
        except ValidationError:
            raise _Gone("it sent what cannot be read") from None
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else None
            if code not in (CloseCode.FINISHED, CloseCode.IDLE):
                raise _Gone(
                    cause or (closed.rcvd.reason if closed.rcvd else "") or "its connection broke off"
                ) from None

    def _reckoned(self, event: _Numbered) -> _Numbered:
        """With the session's numbers and times."""
        moved: dict[str, float] = {}
        if event.utterance is not None:
            moved["utterance"] = event.utterance + self._before
            self.utterances = max(self.utterances, event.utterance + self._before)
        for name in ("start", "end"):
            if name in type(event).model_fields:
                moved[name] = getattr(event, name) + self._zero
        return event.model_copy(update=moved)

    async def _watch(self, silent_seconds: float) -> None:
        """Raises _Gone when stt has vanished without a word. A pong alone may wait behind audio not yet read."""
        while True:
            heard = self._heard
            try:
                async with asyncio.timeout(silent_seconds):
                    await (await self._connection.ping())
            except TimeoutError:
                if heard == self._heard:
                    raise _Gone(f"nothing came from it for {silent_seconds:g} s") from None
            except ConnectionClosed:
                await asyncio.Event().wait()  # `_receive` says why
            await asyncio.sleep(_PING_SECONDS)


def _bytes_a_second(start: Start) -> int:
    return start.sample_rate * (2 if start.encoding is AudioEncoding.PCM_S16LE else 1)

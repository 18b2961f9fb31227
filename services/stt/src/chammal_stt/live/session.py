"""One live session: messages in, events out, and the states between."""

import asyncio
from collections import deque
from typing import Protocol

from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import (
    CloseCode,
    Commit,
    Committed,
    Done,
    EndReason,
    Finish,
    LiveError,
    LiveStage,
    Ready,
    SpeechStarted,
    SpeechStopped,
    Start,
)
from chammal_kit.logs import component_logger
from chammal_stt.live import protocol
from chammal_stt.live.dictation import Dictation
from chammal_stt.live.ear import Ear, Frame
from chammal_stt.live.endpoint import Ended, Endpointer, EndpointRules, Paused, Resumed, Started, Turn
from chammal_stt.live.outbox import ClientTooSlow, Outbox
from chammal_stt.live.protocol import Ending, SessionError, State
from chammal_stt.live.scribe import Scribe, abandon
from chammal_stt.live.tape import Tape
from chammal_stt.live.utterance import FRAME_SECONDS, Utterance, seconds
from chammal_stt.metrics import SessionOutcome
from chammal_stt.settings import SttSettings

log = component_logger("Live")

_START_SECONDS = 10.0
_SPEECH_SECONDS = 0.096
"""Less is a click."""
_QUIET_FRAMES = 3
"""After them the utterance may be at its end: a partial begun now would stand in its final's way."""
_SLICE_BYTES = 8_000
"""Heard at a time: other sessions have their turn in between."""


class Disconnected(Exception):
    """The client is gone."""


class Wire(Protocol):
    async def receive(self) -> str | bytes:
        """Raises Disconnected."""
        ...

    async def send(self, text: str) -> None:
        """Raises Disconnected."""
        ...


class Session:
    def __init__(self, name: str, client: Wire, dictation: Dictation, settings: SttSettings) -> None:
        self._name = name
        self._client = client
        self._dictation = dictation
        self._settings = settings
        self._state = State.CONNECTED
        self._moved = asyncio.Event()
        self._outbox = Outbox(client.send, settings.live_send_seconds, self._moved.set)
        self._listener: Listener | None = None
        self._listening: asyncio.Task[None] | None = None
        self._shutting_down = False

    async def run(self) -> Ending:
        """Until the client has finished, is gone, or did what it may not."""
        serving = asyncio.create_task(self._serve())
        sending = asyncio.create_task(self._outbox.run())
        try:
            await asyncio.wait((serving, sending), return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await sending  # it ends first only by raising
            ending = await serving
            self._outbox.close()
            await sending
        except ClientTooSlow:
            return Ending(SessionOutcome.TOO_SLOW, CloseCode.TOO_SLOW, "The client does not read its events.")
        except Disconnected:
            return Ending(SessionOutcome.DISCONNECTED, CloseCode.FINISHED)
        else:
            return ending
        finally:
            serving.cancel()
            sending.cancel()
            await asyncio.wait((serving, sending))
            if self._listener is not None:
                await self._listener.abandon()

    def shut_down(self) -> None:
        """Takes no more audio; what was said is still recognised."""
        self._shutting_down = True
        if self._listening is not None:
            self._listening.cancel()

    async def _serve(self) -> Ending:
        """Raises Disconnected."""
        self._listening = asyncio.create_task(self._listen())
        if self._shutting_down:
            self._listening.cancel()
        try:
            return await self._until_deaf(self._listening)
        finally:
            self._listening.cancel()
            await asyncio.wait((self._listening,))

    async def _until_deaf(self, listening: asyncio.Task[None]) -> Ending:
        ending = Ending(SessionOutcome.FINISHED, CloseCode.FINISHED)
        last: LiveError | None = None
        try:
            await listening
        except SessionError as fault:
            ending, last = fault.ending, fault.event
        except asyncio.CancelledError:
            if not self._shutting_down or _cancelled():
                raise
            shutdown = protocol.shutting_down()
            ending, last = shutdown.ending, shutdown.event
        except OSError as error:  # no room or no descriptor for the audio
            log.error("The audio cannot be kept: %s", error)
            failure = protocol.failed()
            ending, last = failure.ending, failure.event
        done = await self._listener.conclude() if self._listener is not None else None
        event = last or done
        if event is not None:
            self._outbox.put(event)
        return ending

    async def _listen(self) -> None:
        """Returns after `finish`. Raises SessionError and Disconnected."""
        start = protocol.read_start(await self._receive(_START_SECONDS))
        self._listener = self._begin(start)
        self._state = State.LISTENING
        while self._state is State.LISTENING:
            message = await self._receive(self._settings.live_idle_seconds)
            if isinstance(message, bytes):
                await self._hear(self._listener, message)
            else:
                await self._room(self._listener)
                self._obey(self._listener, protocol.parse(message, self._state))
            await asyncio.sleep(0)  # messages that lie ready are taken without a pause

    async def _receive(self, patience: float) -> str | bytes:
        try:
            async with asyncio.timeout(patience):
                return await self._client.receive()
        except TimeoutError:
            raise protocol.idle(patience, self._state) from None

    def _begin(self, start: Start) -> "Listener":
        language = start.language or self._settings.language
        silence_ms = start.silence_ms or self._settings.live_silence_ms
        scribe = Scribe(start, language, self._dictation, self._settings, self._outbox, self._moved.set)
        ready = Ready(
            session=self._name,
            sample_rate=start.sample_rate,
            encoding=start.encoding,
            language=language,
            silence_ms=silence_ms,
        )
        self._outbox.put(ready)
        return Listener(Ear(start), rules(self._settings, silence_ms), scribe, self._outbox)

    def _obey(self, listener: "Listener", message: Start | Commit | Finish) -> None:
        match message:
            case Start():
                raise protocol.unexpected(message.type, self._state)
            case Commit():
                self._outbox.put(Committed(utterance=listener.stop(EndReason.COMMIT)))
            case Finish():
                self._state = State.FINISHING
                listener.finish()

    async def _hear(self, listener: "Listener", data: bytes) -> None:
        for offset in range(0, len(data), _SLICE_BYTES):
            await self._room(listener)
            listener.hear(data[offset : offset + _SLICE_BYTES])
            await asyncio.sleep(0)

    async def _room(self, listener: "Listener") -> None:
        """Waits while finals or events pile up; the socket is not read meanwhile, so the client has to wait too."""
        while listener.behind or self._outbox.crowded:
            self._moved.clear()
            await self._moved.wait()


class Listener:
    """Audio to utterances."""

    def __init__(self, ear: Ear, endpoints: EndpointRules, scribe: Scribe, outbox: Outbox) -> None:
        self._ear = ear
        self._endpointer = Endpointer(endpoints)
        self._scribe = scribe
        self._outbox = outbox
        self._writing = asyncio.create_task(scribe.run())
        self._frames = 0
        self._numbers = 0
        self._utterance: Utterance | None = None
        self._recent: deque[Frame] = deque(maxlen=endpoints.longest // 3 + endpoints.preroll + endpoints.least + 1)
        """As much as an utterance that begins now may reach back."""

    @property
    def behind(self) -> bool:
        return self._scribe.behind

    def hear(self, data: bytes) -> None:
        self._take_in(self._ear.hear(data))
        if self._utterance is not None and self._endpointer.silence < _QUIET_FRAMES:
            self._scribe.consider_partial(self._utterance)

    def stop(self, reason: EndReason) -> int | None:
        """Ends the utterance at hand. Returns its number, if there is one."""
        number = self._utterance.number if self._utterance is not None else None
        for turn in self._endpointer.stop(reason):
            self._take_turn(turn)
        return number

    def finish(self) -> None:
        """No more audio."""
        if self._ear.odd_bytes:
            detail = "The audio ended in the middle of a sample; the odd byte was left out."
            error = LiveError(code=ErrorCode.MESSAGE_INVALID, detail=detail, fatal=False, stage=LiveStage.AUDIO)
            self._outbox.put(error)
        self._take_in(self._ear.finish())
        self.stop(EndReason.FINISH)

    async def conclude(self) -> Done:
        """After the finals of all that was said."""
        self.stop(EndReason.CLOSED)
        self._scribe.finish()
        await self._writing
        return Done(audio_seconds=seconds(self._frames), utterances=self._numbers)

    async def abandon(self) -> None:
        """Lets go of everything. Nothing is left to do after `conclude`."""
        self._writing.cancel()
        await asyncio.wait((self._writing,))
        await self._scribe.abandon()
        if self._utterance is not None:
            await abandon(self._utterance)

    def _take_in(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._frames += 1
            self._recent.append(frame)
            if self._utterance is not None:
                self._utterance.append(frame)
            for turn in self._endpointer.hear(frame.speech, frame.level):
                self._take_turn(turn)

    def _take_turn(self, turn: Turn) -> None:
        if isinstance(turn, Started):
            self._start_utterance(turn)
            return
        utterance = self._utterance
        assert utterance is not None  # noqa: S101 only what was started pauses or ends
        match turn:
            case Paused():
                self._scribe.begin_early(utterance, turn.end)
            case Resumed():
                self._scribe.drop_early(utterance)
            case Ended():
                self._utterance = None
                end = seconds(turn.speech_end)
                self._outbox.put(SpeechStopped(utterance=utterance.number, end=end, reason=turn.reason))
                self._scribe.end(utterance, turn)

    def _start_utterance(self, started: Started) -> None:
        self._numbers += 1
        self._utterance = Utterance(self._numbers, started, Tape())
        for frame in list(self._recent)[started.first - self._frames :]:
            self._utterance.append(frame)
        self._scribe.begin()
        self._outbox.put(SpeechStarted(utterance=self._numbers, start=seconds(started.onset)))


def _cancelled() -> bool:
    """Whether it is this task that is to end, and not only one that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def rules(settings: SttSettings, silence_ms: int) -> EndpointRules:
    early_ms = min(settings.live_early_ms or silence_ms, silence_ms)
    return EndpointRules(
        silence=_in_frames(silence_ms / 1000),
        early=_in_frames(early_ms / 1000),
        preroll=_in_frames(settings.live_preroll_ms / 1000),
        least=_in_frames(_SPEECH_SECONDS),
        longest=_in_frames(settings.live_utterance_seconds),
    )


def _in_frames(duration: float) -> int:
    return round(duration / FRAME_SECONDS)

"""The audio of an answer: one piece is made while the piece before it leaves."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from chammal_api.clients.completion import gateway_attempts as service_attempts
from chammal_api.clients.failure import describe
from chammal_api.clients.speech import SpeechStream, is_unspeakable, stream_speech
from chammal_api.realtime.playback import Playback
from chammal_api.realtime.response_config import ResponseConfig
from chammal_api.realtime.sentences import speakable
from chammal_api.realtime.speech_track import SpeechTrack
from chammal_contracts.realtime_session import Alaw, Pcm, Ulaw, bytes_per_second
from chammal_contracts.speech import AudioFormat, SpeechRequest
from chammal_contracts.stages import Attempt, FailureType, Stage, StageReport, StageStatus
from chammal_contracts.voice import Emotion
from chammal_kit.upstream import Timeouts, Upstream, UpstreamError

DELTA_MS = 200
"""Most of one event: who plays it can begin, and stop, within it."""
MOST_FAILURES = 2
"""Then the rest of the answer is text alone; the next answer tries again."""
_HOPELESS = (FailureType.READ_TIMEOUT, FailureType.DEADLINE_EXCEEDED, FailureType.BREAKER_OPEN, FailureType.REJECTED)
_FORMATS = {Pcm: AudioFormat.PCM, Ulaw: AudioFormat.G711_ULAW, Alaw: AudioFormat.G711_ALAW}


@dataclass(slots=True, eq=False)
class _Piece:
    text: str
    audio: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)


class Speaking:
    """`say` its pieces and `end` it, while `synthesise` and `deliver` run."""

    def __init__(
        self,
        tts: Upstream,
        config: ResponseConfig,
        emotion: Emotion | None,
        language: str,
        timeouts: Timeouts,
        on_failure: Callable[[UpstreamError], Awaitable[None]],
    ) -> None:
        self.track = SpeechTrack()
        self.playback = Playback(asyncio.get_running_loop().time)
        self.first_sample_seconds: float | None = None
        """From asking for the first piece to its first sample."""
        self._tts = tts
        self._config = config
        self._emotion = emotion
        self._language = language
        """Of what was said last; figures alone show none."""
        self._timeouts = timeouts
        self._on_failure = on_failure
        self._to_say: asyncio.Queue[str | None] = asyncio.Queue()
        self._leaving: asyncio.Queue[_Piece | None] = asyncio.Queue(maxsize=1)
        self._backend: str | None = None
        self._degraded = False
        self._attempts: list[Attempt] = []
        self._errors: list[UpstreamError] = []
        self._asked = self._spoken = 0
        self._seconds = 0.0

    def say(self, text: str) -> None:
        self._to_say.put_nowait(text)

    def end(self) -> None:
        self._to_say.put_nowait(None)

    async def synthesise(self) -> None:
        while (text := await self._to_say.get()) is not None:
            piece = _Piece(text)
            await self._leaving.put(piece)
            try:
                if speakable(text):
                    await self._make(piece)
            finally:
                piece.audio.put_nowait(None)
        await self._leaving.put(None)

    async def deliver(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        a_second = bytes_per_second(self._config.format)
        while (piece := await self._leaving.get()) is not None:
            self.track.begin(piece.text)
            while (samples := await piece.audio.get()) is not None:
                for part in _parts(samples, a_second * DELTA_MS // 1000):
                    await send(part)
                    ms = len(part) * 1000 / a_second
                    self.playback.sent(ms)
                    self.track.grow(ms)
            self.track.end()

    def report(self) -> StageReport:
        if not self._asked:
            return StageReport(stage=Stage.TTS, status=StageStatus.SKIPPED, error="there was nothing to speak")
        status = StageStatus.DEGRADED if self._degraded else StageStatus.OK
        error = self._errors[0] if self._errors else None
        if error is not None:
            status = StageStatus.DEGRADED if self._spoken else StageStatus.DUMMY
        return StageReport(
            stage=Stage.TTS,
            status=status,
            backend=self._backend,
            attempts=self._attempts,
            breaker=self._tts.breaker.state,
            seconds=self._seconds,
            error_type=error.failure if error else None,
            error=f"{describe(error)} ({self._spoken} of {self._asked} pieces were spoken)" if error else None,
        )

    async def _make(self, piece: _Piece) -> None:
        self._asked += 1
        if self._has_given_up():
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with stream_speech(self._tts, self._request(piece.text), self._timeouts) as stream:
                self._note(stream)
                async for samples in stream.samples(2 if isinstance(self._config.format, Pcm) else 1):
                    if self.first_sample_seconds is None:
                        self.first_sample_seconds = loop.time() - started
                    piece.audio.put_nowait(samples)
            self._attempts += stream.attempts
            self._spoken += 1
        except UpstreamError as error:
            self._attempts += service_attempts(error) or error.attempts
            if is_unspeakable(error):
                self._asked -= 1
                return
            self._errors.append(error)
            if len(self._errors) == 1:
                await self._on_failure(error)
        finally:
            self._seconds += loop.time() - started

    def _has_given_up(self) -> bool:
        hopeless = any(error.failure in _HOPELESS for error in self._errors)
        return hopeless or len(self._errors) >= MOST_FAILURES

    def _note(self, stream: SpeechStream) -> None:
        self._backend = stream.backend or self._backend
        self._degraded = self._degraded or stream.degraded

    def _request(self, text: str) -> SpeechRequest:
        letters = [char for char in text if char.isalpha()]
        if letters:
            self._language = "ko" if any("가" <= char <= "힣" for char in letters) else "en"
        return SpeechRequest(
            input=text.strip(),
            language=None if letters else self._language,
            voice=self._config.voice,
            response_format=_FORMATS[type(self._config.format)],
            speed=self._config.speed,
            emotion=self._emotion,
        )


def _parts(samples: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(samples), size):
        yield samples[at : at + size]

"""One request's audio, made sentence by sentence and encoded as it is made."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from chammal_kit.deadline import Deadline
from chammal_tts.encoders import Encoder
from chammal_tts.engine import Engine, Samples, Stop, Stopped, Utterance
from chammal_tts.metrics import REAL_TIME_FACTOR
from chammal_tts.prosody import Prosody
from chammal_tts.script import Piece
from chammal_tts.shaping import OUTPUT_RATE, shaped
from chammal_tts.voices import Voice
from chammal_tts.work import Work

T = TypeVar("T")

_FRAME_SECONDS = 0.025


@dataclass(slots=True)
class Usage:
    phonemes: int = 0
    frames: int = 0
    """Of 25 ms each."""


class Rendering:
    """Iterate over `chunks()` once. Closing it stops the synthesis."""

    def __init__(
        self,
        engine: Engine,
        executor: Executor,
        encoder: Encoder,
        voice: Voice,
        prosody: Prosody,
        deadline: Deadline,
        work: Work,
        waited: Callable[[float, bool], None] = lambda *_: None,
    ) -> None:
        """`waited` is told how long each sentence waited for its turn, and whether it came."""
        self._waited = waited
        self._work = work
        self.usage = Usage()
        self._engine = engine
        self._executor = executor
        self._encoder = encoder
        self._voice = voice
        self._prosody = prosody
        self._native, self._left = engine.capabilities.divided(prosody)
        self._deadline = deadline
        self._stop = Stop()
        self._encoding = threading.Lock()
        self._done = False

    async def chunks(self, pieces: Sequence[Piece]) -> AsyncGenerator[bytes]:
        """Encoded audio, never empty. Raises TimeoutError at the deadline, and EngineHung."""
        try:
            for piece in pieces:
                if data := await self._in_thread(partial(self._make, piece)):
                    yield data
            if data := await self._in_thread(self._finish):
                yield data
        finally:
            self._stop.request()
            with contextlib.suppress(RuntimeError):  # the executor is gone, and soon the process
                self._executor.submit(self._abandon)

    def _finish(self) -> bytes:
        with self._encoding:
            self._done = True
            return self._encoder.finish()

    def _abandon(self) -> None:
        """Once whatever still encodes has done so."""
        with self._encoding:
            if not self._done:
                self._done = True
                self._encoder.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        asked = time.perf_counter()
        begun = False

        def begin() -> T:
            nonlocal begun
            begun = True
            loop.call_soon_threadsafe(self._waited, time.perf_counter() - asked, True)
            return work()

        try:
            async with asyncio.timeout(self._deadline.remaining()):
                return await self._work.unless_hung(loop.run_in_executor(self._executor, begin))
        finally:
            if not begun:
                self._waited(time.perf_counter() - asked, False)

    def _make(self, piece: Piece) -> bytes:
        started = time.perf_counter()
        voice = self._voice.speaking(piece.language)
        native = self._native
        utterance = Utterance(piece.text, piece.language, voice, native.speed, native.pitch, native.energy)
        speech = self._engine.speak(utterance, self._stop)
        samples = shaped(speech.samples, self._engine.sample_rate, self._left)
        self._count(samples, speech.units, piece, time.perf_counter() - started)
        silence = np.zeros(int(piece.pause / self._prosody.speed * OUTPUT_RATE), np.float32)
        with self._encoding:
            if self._done:
                raise Stopped
            return self._encoder.encode(np.concatenate((samples, silence)))

    def _count(self, samples: Samples, units: int, piece: Piece, seconds: float) -> None:
        audio_seconds = samples.size / OUTPUT_RATE
        self.usage.phonemes += units
        self.usage.frames += round(audio_seconds / _FRAME_SECONDS)
        if audio_seconds:
            REAL_TIME_FACTOR.labels(piece.language).observe(seconds / audio_seconds)

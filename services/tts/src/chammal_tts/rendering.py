"""One request's audio, made sentence by sentence and encoded as it is made."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import numpy as np

from chammal_kit.deadline import Deadline
from chammal_tts.backend import Backend, Sound, Turn
from chammal_tts.encoders import Encoder
from chammal_tts.engine import Stop, Stopped, Utterance
from chammal_tts.manner import Manner
from chammal_tts.prosody import NEUTRAL
from chammal_tts.script import Piece
from chammal_tts.shaping import OUTPUT_RATE, shaped
from chammal_tts.voices import Voice
from chammal_tts.work import Work

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
        backend: Backend,
        encoder: Encoder,
        voice: Voice,
        manner: Manner,
        deadline: Deadline,
        work: Work,
        waited: Callable[[float, bool], None] = lambda *_: None,
    ) -> None:
        """`waited` is told how long each sentence waited for its turn, and whether it came."""
        self._waited = waited
        self._work = work
        self.usage = Usage()
        self._backend = backend
        self._executor = backend.executor
        self._encoder = encoder
        self._voice = voice
        self._manner = manner
        self._native, self._left = backend.capabilities.divided(manner.prosody)
        self._deadline = deadline
        self._stop = Stop()
        self._encoding = threading.Lock()
        self._done = False

    async def chunks(self, pieces: Sequence[Piece]) -> AsyncGenerator[bytes]:
        """Encoded audio, never empty. Raises TimeoutError at the deadline, EngineHung, and UpstreamError."""
        try:
            for piece in pieces:
                async with aclosing(self._backend.audio(self._utterance(piece), self._turn(piece))) as audio:
                    async for data in audio:
                        if data:
                            yield data
            if data := await self._in_thread(self._finish):
                yield data
        finally:
            self._stop.request()
            with contextlib.suppress(RuntimeError):  # the executor is gone, and soon the process
                self._executor.submit(self._abandon)

    def _utterance(self, piece: Piece) -> Utterance:
        native = self._native
        return Utterance(
            piece.text,
            piece.language,
            self._voice.speaking(piece.language),
            native.speed,
            native.pitch,
            native.energy,
            self._manner.instructions,
            self._manner.emotion,
        )

    def _turn(self, piece: Piece) -> Turn:
        whole = self._left.speed != NEUTRAL.speed or self._left.pitch != NEUTRAL.pitch
        return Turn(self._stop, whole, partial(self._encode, piece), self._in_thread)

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

    async def _in_thread(self, work: Callable[[], bytes]) -> bytes:
        loop = asyncio.get_running_loop()
        asked = time.perf_counter()
        begun = False

        def begin() -> bytes:
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

    def _encode(self, piece: Piece, sound: Sound) -> bytes:
        samples = shaped(sound.samples, sound.sample_rate, self._left)
        self.usage.phonemes += sound.units
        self.usage.frames += round(samples.size / OUTPUT_RATE / _FRAME_SECONDS)
        if sound.last:
            silence = np.zeros(int(piece.pause / self._manner.prosody.speed * OUTPUT_RATE), np.float32)
            samples = np.concatenate((samples, silence))
        with self._encoding:
            if self._done:
                raise Stopped
            return self._encoder.encode(samples)

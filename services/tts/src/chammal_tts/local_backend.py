"""An engine in this process: it speaks in a thread, a sentence at a time."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor

from chammal_contracts.health import Readiness
from chammal_tts.backend import Sound, Turn
from chammal_tts.engine import Capabilities, Engine, Utterance
from chammal_tts.loading import Loading
from chammal_tts.metrics import REAL_TIME_FACTOR
from chammal_tts.readiness import TtsReadiness
from chammal_tts.voices import Voice
from chammal_tts.work import WatchedEngine, Work


class LocalBackend:
    def __init__(
        self, name: str, load: Callable[[], Engine], executor: Executor, work: Work, poll_seconds: float
    ) -> None:
        """Inside the event loop. `load` is called in a thread until it succeeds."""
        self.name = name
        self.executor = executor
        self._loading = Loading(name, lambda: WatchedEngine(load(), work), executor, poll_seconds)
        self._readiness = TtsReadiness(self._loading, work, executor)
        self._task = asyncio.create_task(self._loading.run())

    @property
    def capabilities(self) -> Capabilities:
        return self._loading.engine().capabilities

    @property
    def voices(self) -> frozenset[str]:
        return self._loading.engine().voices

    def voice(self, name: str) -> Voice | None:
        return self._loading.engine().voice(name)

    async def audio(self, utterance: Utterance, turn: Turn) -> AsyncGenerator[bytes]:
        engine = self._loading.engine()

        def speak() -> bytes:
            started = time.perf_counter()
            speech = engine.speak(utterance, turn.stop)
            if speech.samples.size:
                seconds = speech.samples.size / engine.sample_rate
                REAL_TIME_FACTOR.labels(utterance.language).observe((time.perf_counter() - started) / seconds)
            return turn.finish(Sound(speech.samples, engine.sample_rate, speech.units))

        yield await turn.in_thread(speak)

    async def readiness(self) -> Readiness:
        return await self._readiness.readiness()

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, self._readiness.aclose(), return_exceptions=True)

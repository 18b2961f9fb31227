"""The engine's way to readiness: not here, loading, ready. It waits for a missing model and needs no restart."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Check, Readiness
from chammal_kit.logs import component_logger
from chammal_kit.models import ModelCorrupt, ModelError, ModelMissing
from chammal_kit.problems import Problem
from chammal_tts.engine import Engine, EngineMissing, Stop, Utterance
from chammal_tts.metrics import READY
from chammal_tts.script import Language
from chammal_tts.voices import DEFAULT

log = component_logger("TTS")

_WORDS = {Language.KO: "네.", Language.EN: "Yes."}


class NoAudio(Exception):
    """An engine that loads and says nothing is not ready."""


@dataclass(frozen=True, slots=True)
class NotReady:
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    engine: Engine
    seconds: float
    """How long loading and the first words took."""


class Loading:
    def __init__(self, name: str, load: Callable[[], Engine], executor: Executor, poll_seconds: float) -> None:
        self._name = name
        self._load = load
        self._executor = executor
        self._poll_seconds = poll_seconds
        self._state: Loaded | NotReady = NotReady("The model is being loaded.")

    def engine(self) -> Engine:
        """Raises a 503 Problem while there is none."""
        if isinstance(self._state, Loaded):
            return self._state.engine
        detail = self._state.reason
        raise Problem(503, ErrorCode.MODEL_UNAVAILABLE, detail, headers={"Retry-After": "5"}, command=self._state.hint)

    def readiness(self) -> Readiness:
        if isinstance(self._state, Loaded):
            return Readiness(ready=True, checks=[Check(name=self._name, ready=True, seconds=self._state.seconds)])
        check = Check(name=self._name, ready=False, reason=self._state.reason, hint=self._state.hint)
        return Readiness(ready=False, checks=[check])

    async def run(self) -> None:
        """Returns once the engine is ready."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._state = await loop.run_in_executor(self._executor, self._load_and_speak)
            except (ModelMissing, ModelCorrupt, EngineMissing) as error:
                self._fail(NotReady(str(error), error.command))
            except ModelError as error:
                self._fail(NotReady(str(error)))
            except Exception as error:  # noqa: BLE001  the boundary to the engine: whatever it raises, the service stays up
                self._fail(NotReady(f"The model could not be loaded: {type(error).__name__}: {error}"))
            else:
                READY.set(1)
                log.info("%s is ready after %.1f s", self._name, self._state.seconds)
                return
            await asyncio.sleep(self._poll_seconds)

    def _fail(self, state: NotReady) -> None:
        if state != self._state:
            log.error("not ready: %s", state.reason)
        self._state = state

    def _load_and_speak(self) -> Loaded:
        started = time.perf_counter()
        engine = self._load()
        for language in engine.capabilities.languages:
            _speak_a_word(engine, language)
        return Loaded(engine, round(time.perf_counter() - started, 3))

    def speak_a_word(self) -> None:
        """In a thread. Raises whatever the engine raises, and NoAudio."""
        _speak_a_word(self.engine(), Language.EN)


def _speak_a_word(engine: Engine, language: Language) -> None:
    word = _WORDS[language]
    voice = engine.voice(DEFAULT) or engine.voice(min(engine.voices, default=""))
    name = voice.speaking(language) if voice else ""
    if not engine.speak(Utterance(word, language, name, 1.0), Stop()).samples.size:
        raise NoAudio(f"no audio for {word!r}")

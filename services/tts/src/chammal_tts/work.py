"""What the engine is doing, when it last spoke, and whether it hangs.

A thread cannot be ended. When the engine does not return from a sentence, whoever waits is told so, and the process
drains and ends, to be started anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from chammal_kit.logs import component_logger
from chammal_kit.proof import Proof
from chammal_tts.engine import Engine, Speech, Stop, Utterance
from chammal_tts.metrics import ENGINE_HUNG
from chammal_tts.voices import Voice

log = component_logger("TTS")

T = TypeVar("T")

TURN_SECONDS = 1.0
SECONDS_A_CHARACTER = 0.5
"""Beyond the setting; the slowest machine seen takes a third of it."""


class EngineHung(Exception):
    """The engine does not return from a sentence."""


class _Sentence:
    def __init__(self, characters: int) -> None:
        self.characters = characters
        self.turns = 0


class Work:
    def __init__(self, hung_seconds: float, fresh_seconds: float, give_up: Callable[[], None]) -> None:
        """`give_up` is called once, from the loop, when the engine hangs."""
        self.proof = Proof(fresh_seconds)
        self.hung: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hung_seconds = hung_seconds
        self._give_up = give_up
        self._running: set[_Sentence] = set()

    @property
    def at_work(self) -> bool:
        return bool(self._running)

    @contextmanager
    def sentence(self, characters: int) -> Iterator[None]:
        """Around the engine, in its thread."""
        sentence = _Sentence(characters)
        self._running.add(sentence)
        try:
            yield
        finally:
            self._running.discard(sentence)

    async def unless_hung(self, working: Awaitable[T]) -> T:
        """Raises EngineHung."""
        task = asyncio.ensure_future(working)
        try:
            await asyncio.wait((task, self.hung), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise EngineHung("The engine does not return; the service is being started anew.")
        finally:
            task.cancel()

    async def watch(self) -> None:
        """Returns when the engine hangs. Counts turns of the loop: a process that was stopped whole did not hang."""
        while not any(self._too_long(sentence) for sentence in tuple(self._running)):
            await asyncio.sleep(TURN_SECONDS)
            for sentence in tuple(self._running):
                sentence.turns += 1
        ENGINE_HUNG.inc()
        log.critical("The engine does not return from a sentence; the service ends, to be started anew.")
        self.hung.set_result(None)
        self._give_up()

    def _too_long(self, sentence: _Sentence) -> bool:
        limit = self._hung_seconds + SECONDS_A_CHARACTER * sentence.characters
        return sentence.turns * TURN_SECONDS >= limit


class WatchedEngine:
    """An engine whose work is known."""

    def __init__(self, engine: Engine, work: Work) -> None:
        self.name = engine.name
        self.sample_rate = engine.sample_rate
        self.voices = engine.voices
        self.capabilities = engine.capabilities
        self._engine = engine
        self._work = work

    def voice(self, name: str) -> Voice | None:
        return self._engine.voice(name)

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        with self._work.sentence(len(utterance.text)):
            speech = self._engine.speak(utterance, stop)
        if speech.samples.size:
            self._work.proof.renew()
        return speech

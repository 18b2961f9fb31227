"""What makes speech: one interface, so that another engine can take Kokoro's place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chammal_contracts.voice import Emotion
from chammal_tts.prosody import NEUTRAL, Prosody
from chammal_tts.script import Language
from chammal_tts.voices import Voice

Samples = NDArray[np.float32]
"""Mono, between -1 and 1."""


class Stopped(Exception):
    """The caller no longer wants the audio."""


class EngineMissing(Exception):
    """An engine that is an option is not installed."""

    def __init__(self, detail: str, command: str) -> None:
        """`command` installs it."""
        super().__init__(detail)
        self.command = command


class Stop:
    """Set from the event loop, heeded by the thread that works. Once set, it stays so."""

    def __init__(self) -> None:
        self.requested = False
        self._interrupt: Callable[[], None] | None = None

    def request(self) -> None:
        self.requested = True
        if interrupt := self._interrupt:
            interrupt()

    @contextmanager
    def interrupts(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Calls `interrupt` when stop is requested inside. Raises Stopped when it has been already."""
        self._interrupt = interrupt
        try:
            if self.requested:
                raise Stopped
            yield
        finally:
            self._interrupt = None


@dataclass(frozen=True, slots=True)
class Utterance:
    text: str
    language: Language
    voice: str
    speed: float
    """1.0 is the voice's own rate. It and what follows are within what the engine says that it can."""
    pitch: float = 0.0
    energy: float = 1.0
    instructions: str | None = None
    emotion: Emotion | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    samples: Samples
    units: int
    """Phonemes that the engine was given."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine does itself. What it does not is done to its samples (`shaping`)."""

    languages: frozenset[Language]
    speeds: tuple[float, float] = (1.0, 1.0)
    """Least and most."""
    pitch: bool = False
    energy: bool = False
    instructions: bool = False
    """It reads `instructions`, and an emotion written into them."""
    streaming: bool = False
    """A sentence's first audio leaves before its last is made."""

    def divided(self, asked: Prosody) -> tuple[Prosody, Prosody]:
        """What the engine is to do of it, and what is left."""
        least, most = self.speeds
        speed = min(max(asked.speed, least), most)
        pitch = asked.pitch if self.pitch else NEUTRAL.pitch
        energy = asked.energy if self.energy else NEUTRAL.energy
        return Prosody(speed, pitch, energy), Prosody(asked.speed / speed, asked.pitch - pitch, asked.energy / energy)


class Engine(Protocol):
    name: str
    sample_rate: int
    voices: frozenset[str]
    capabilities: Capabilities

    def voice(self, name: str) -> Voice | None:
        """`name` is one of `voices`, which then speaks every language, or one of OpenAI's. None for others."""
        ...

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        """Blocks its thread. Raises Stopped soon after `stop` is requested."""
        ...

"""What makes speech: one interface, so that another engine can take Kokoro's place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chammal_tts.script import Language

Samples = NDArray[np.float32]
"""Mono, between -1 and 1."""


class Stopped(Exception):
    """The caller no longer wants the audio."""


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
    """1.0 is the voice's own rate."""


@dataclass(frozen=True, slots=True)
class Speech:
    samples: Samples
    units: int
    """Phonemes that the engine was given."""


class Engine(Protocol):
    name: str
    sample_rate: int
    voices: frozenset[str]
    languages: frozenset[Language]

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        """Blocks its thread. Raises Stopped soon after `stop` is requested."""
        ...

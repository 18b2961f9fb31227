"""Where speech comes from: an engine in this process, or a server that is asked. One interface for both."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from chammal_contracts.health import Readiness
from chammal_tts.engine import Capabilities, Samples, Stop, Utterance
from chammal_tts.voices import Voice


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of an utterance."""

    samples: Samples
    sample_rate: int
    units: int = 0
    """Phonemes or characters that were spoken; counted with the first piece."""
    last: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of one request."""

    stop: Stop
    whole: bool
    """Its samples are to be shaped, which takes all of them at once."""
    finish: Callable[[Sound], bytes]
    """Shapes and encodes; in a thread."""
    in_thread: Callable[[Callable[[], bytes]], Awaitable[bytes]]
    """In the backend's executor. Raises TimeoutError at the request's deadline, and EngineHung."""


class Backend(Protocol):
    name: str
    executor: Executor

    @property
    def capabilities(self) -> Capabilities:
        """Raises a 503 Problem while it cannot speak, as the next two do."""
        ...

    @property
    def voices(self) -> frozenset[str]: ...

    def voice(self, name: str) -> Voice | None: ...

    def audio(self, utterance: Utterance, turn: Turn) -> AsyncGenerator[bytes]:
        """What `turn.finish` makes of it, as it comes. Raises whatever the engine raises, UpstreamError where it is
        another server, and what `turn.in_thread` raises."""
        ...

    async def readiness(self) -> Readiness: ...

    async def aclose(self) -> None: ...

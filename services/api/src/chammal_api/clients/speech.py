"""Speech of the tts service as it is made, and who made it."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chammal_api.clients.failure import read_problem
from chammal_contracts import headers as wire
from chammal_contracts.errors import ErrorCode
from chammal_contracts.speech import SpeechRequest
from chammal_contracts.stages import Attempt, Stage
from chammal_kit.upstream import StreamReply, Timeouts, Upstream, UpstreamError

PATH = "/v1/audio/speech"


@dataclass(slots=True)
class SpeechStream:
    answer: StreamReply

    @property
    def backend(self) -> str | None:
        """The engine that speaks."""
        return self.answer.headers.get(wire.BACKEND)

    @property
    def degraded(self) -> bool:
        """A fall-back speaks."""
        return f"{Stage.TTS}=" in self.answer.headers.get(wire.DEGRADED, "")

    @property
    def attempts(self) -> list[Attempt]:
        return self.answer.attempts

    async def samples(self, frame: int) -> AsyncGenerator[bytes, None]:
        """Pieces of whole frames of so many bytes, never empty, and at least one. Raises UpstreamError."""
        rest, spoken = b"", False
        async for piece in self.answer:
            rest += piece
            whole = len(rest) - len(rest) % frame
            if whole:
                spoken = True
                yield rest[:whole]
                rest = rest[whole:]
        if not spoken:
            raise self.answer.unusable("the answer is empty")


@asynccontextmanager
async def stream_speech(upstream: Upstream, asked: SpeechRequest, timeouts: Timeouts) -> AsyncIterator[SpeechStream]:
    """Leaving the block ends synthesis. Raises UpstreamError."""
    body = asked.model_dump(mode="json", exclude_none=True, exclude_defaults=True) | {"input": asked.input}
    async with upstream.stream("POST", PATH, json=body, timeouts=timeouts) as answer:
        media_type = answer.headers.get("content-type", "")
        if not media_type.startswith("audio/"):
            raise answer.unusable(f"answered with {media_type[:60] or 'no content type'}")
        yield SpeechStream(answer)


def is_unspeakable(error: UpstreamError) -> bool:
    """There is nothing in the text that could be spoken, which is nobody's failure."""
    problem = read_problem(error.body)
    return problem is not None and problem.code is ErrorCode.INPUT_UNSPEAKABLE

"""The first engine that brings audio speaks the whole answer, and the answer says which it was."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from chammal_contracts.errors import ErrorCode
from chammal_contracts.speech import SpeechRequest
from chammal_kit.deadline import Deadline
from chammal_kit.problems import Problem
from chammal_kit.upstream import UpstreamError
from chammal_tts.backend import Backend
from chammal_tts.encoders import make_encoder
from chammal_tts.manner import manner_of
from chammal_tts.rendering import Rendering, Usage
from chammal_tts.script import Language, Piece
from chammal_tts.shaping import OUTPUT_RATE
from chammal_tts.state import TtsState
from chammal_tts.trail import Trail
from chammal_tts.voices import ALIASES, DEFAULT, Voice
from chammal_tts.work import EngineHung


@dataclass(frozen=True, slots=True)
class Answer:
    first: bytes
    rest: AsyncGenerator[bytes]
    media_type: str
    headers: Mapping[str, str]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Candidate:
    backend: Backend
    voice: Voice | Problem
    """Why it cannot speak now, in place of a voice."""
    named: bool
    """It has the voice that was asked for, as far as is known."""

    def own_voice(self) -> Voice:
        if isinstance(self.voice, Problem):
            raise self.voice
        return self.voice


async def answer(
    asked: SpeechRequest, pieces: Sequence[Piece], backends: Sequence[Backend], state: TtsState, deadline: Deadline
) -> Answer:
    """An answer whose first audio is here. Raises Problem; where one engine alone was there, also what it raised."""
    trail = Trail()
    for one in candidates(asked.voice, {piece.language for piece in pieces}, backends):
        started = time.perf_counter()
        try:
            return await _begin(asked, pieces, one.backend, one.own_voice(), state, deadline, trail)
        except TimeoutError as error:
            raise Problem(504, ErrorCode.DEADLINE_EXCEEDED, "The deadline passed before the first audio.") from error
        except Exception as error:  # the boundary to the engines: whatever one raises, the next may speak
            if len(backends) == 1 and not isinstance(error, UpstreamError):
                raise _alone(error) from error
            trail.failed(one.backend.name, error, time.perf_counter() - started)
    raise trail.problem()


async def _begin(
    asked: SpeechRequest,
    pieces: Sequence[Piece],
    backend: Backend,
    voice: Voice,
    state: TtsState,
    deadline: Deadline,
    trail: Trail,
) -> Answer:
    started = time.perf_counter()
    encoder = make_encoder(asked.response_format, OUTPUT_RATE)
    manner = manner_of(asked, backend.capabilities)
    rendering = Rendering(backend, encoder, voice, manner, deadline, state.work, state.limiter.waited)
    chunks = rendering.chunks(pieces)
    try:
        first = await anext(chunks)
    except BaseException:
        await chunks.aclose()
        raise
    headers = trail.answered(backend.name, time.perf_counter() - started)
    return Answer(first, chunks, encoder.media_type, headers, rendering.usage)


def candidates(name: str, languages: set[Language], backends: Sequence[Backend]) -> list[Candidate]:
    """Who is asked, in order. A voice that only some have puts these first; the others take one of their own."""
    able = [one for backend in backends if (one := _candidate(backend, name, languages))]
    if not able:
        wanted = ", ".join(sorted(languages))
        raise Problem(422, ErrorCode.LANGUAGE_UNKNOWN, f"No engine here speaks all of: {wanted}.")
    if not any(one.named for one in able):
        names = list(dict.fromkeys(n for one in able for n in names_of(one.backend)))
        raise Problem(
            404, ErrorCode.VOICE_NOT_FOUND, f"There is no voice {name!r}; there are: {', '.join(names)}.", voices=names
        )
    return sorted(able, key=lambda one: not one.named)


def names_of(backend: Backend) -> list[str]:
    """OpenAI's names that it takes, then its own. Raises a 503 Problem while it cannot speak."""
    own = backend.voices
    aliases = (alias for alias in ALIASES if backend.voice(alias))
    return list(dict.fromkeys((*aliases, *sorted(own))))


def _candidate(backend: Backend, name: str, languages: set[Language]) -> Candidate | None:
    """None for an engine that lacks a language, or has neither the voice nor another for the name."""
    try:
        if not languages <= backend.capabilities.languages:
            return None
    except Problem as problem:
        return Candidate(backend, problem, named=True)
    if voice := backend.voice(name):
        return Candidate(backend, voice, named=True)
    other = backend.voice(DEFAULT) or backend.voice(min(backend.voices, default=""))
    return Candidate(backend, other, named=False) if other else None


def _alone(error: Exception) -> Exception:
    if isinstance(error, EngineHung):
        return Problem(503, ErrorCode.WORKER_DIED, str(error), headers={"Retry-After": "5"})
    return error

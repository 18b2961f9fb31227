"""The service's routes."""

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from chammal_contracts.chat import ModelCard, ModelList
from chammal_contracts.errors import ErrorCode, ProblemBody
from chammal_contracts.health import Readiness
from chammal_contracts.speech import SpeechRequest, StreamFormat, VoiceCard, VoiceList
from chammal_kit.body_limit import limit_body
from chammal_kit.deadline import Deadline, current_deadline
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.limiter import Permit
from chammal_kit.problems import Problem
from chammal_tts.answering import answer, names_of
from chammal_tts.backend import Backend
from chammal_tts.backends import readiness_of
from chammal_tts.encoders import MEDIA_TYPES
from chammal_tts.metrics import FIRST_AUDIO_SECONDS, REQUESTS, Outcome
from chammal_tts.responses import SpeechResponse, audio_body, sse_body
from chammal_tts.script import Language, Piece, script
from chammal_tts.state import TtsState
from chammal_tts.voices import ALIASES

_BYTES_A_CHARACTER = 12
"""A character outside the basic plane is two escapes of six bytes in JSON."""
_OTHER_FIELDS_BYTES = 16_384


class BoundedRoute(APIRoute):
    """Work is let in before its body is read, and that only as far as the longest input can reach."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if request.method != "POST":
                return await handle(request)
            state = _state(request)
            permit = _admit(state)
            response = None
            try:
                longest = state.settings.max_characters * _BYTES_A_CHARACTER + _OTHER_FIELDS_BYTES
                request = limit_body(request, longest)
                with permit.receiving():
                    await request.body()
                response = await handle(request)
            finally:
                if isinstance(response, SpeechResponse):
                    response.when_done(permit.leave)
                else:
                    permit.leave()
            return response

        return bounded


def _admit(state: TtsState) -> Permit:
    try:
        return state.limiter.admit()
    except Problem:
        REQUESTS.labels(Outcome.OVERLOADED).inc()
        raise


router = APIRouter(route_class=BoundedRoute)

MODEL_ALIASES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")


def _state(request: Request) -> TtsState:
    state = request.state.tts
    assert isinstance(state, TtsState)  # noqa: S101
    return state


async def _depended(request: Request) -> TtsState:
    """Asynchronous: FastAPI would give a plain function a thread."""
    return _state(request)


State = Annotated[TtsState, Depends(_depended)]


@router.get("/ready", tags=["operations"], responses={503: {"model": Readiness}})
async def get_ready(state: State, response: Response) -> Readiness:
    """The engine has lately spoken, or says a word now. Otherwise 503, with the reason and what to do."""
    readiness = await readiness_of(state.backends)
    response.status_code = 200 if readiness.ready else 503
    return readiness


@router.get("/v1/models", tags=["speech"])
async def get_models(state: State) -> ModelList:
    own = (backend.name for backend in state.backends)
    return ModelList(data=[ModelCard(id=name) for name in (*own, *MODEL_ALIASES)])


@router.get("/v1/audio/voices", tags=["speech"], responses={503: {"model": ProblemBody}})
async def get_voices(state: State) -> VoiceList:
    """Of all engines that can speak now."""
    found: dict[str, None] = {}
    problems = []
    for backend in state.backends:
        try:
            found |= dict.fromkeys(names_of(backend))
        except Problem as problem:
            problems.append(problem)
    if problems and not found:
        raise problems[0]
    return VoiceList(data=[VoiceCard(id=name, alias=name in ALIASES) for name in found])


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": ProblemBody, "description": "No such model or voice"},
    413: {"model": ProblemBody, "description": "The body is larger than the longest input can be"},
    422: {"model": ProblemBody, "description": "Input too long, nothing in it to say, or a bad field"},
    503: {"model": ProblemBody, "description": "The model is missing, or the service is busy: Retry-After"},
    504: {"model": ProblemBody, "description": "The deadline passed before the first audio"},
}


@router.post(
    "/v1/audio/speech",
    tags=["speech"],
    response_class=Response,
    responses={
        200: {
            "description": "Audio as it is made, or server-sent events with `stream_format=sse`",
            "content": {kind: {} for kind in (*MEDIA_TYPES.values(), "text/event-stream")},
        },
        **_PROBLEMS,
    },
)
async def post_speech(asked: SpeechRequest, request: Request, state: State) -> Response:
    """Text to speech, as OpenAI has it. The first sentence's audio leaves while the rest is being made."""
    started = time.perf_counter()
    try:
        return await _speak(asked, request, state, started)
    except ClientDisconnect:
        REQUESTS.labels(Outcome.GONE).inc()
        return Response(status_code=499)
    except Problem as problem:
        REQUESTS.labels(_outcome(problem)).inc()
        raise
    except Exception:
        REQUESTS.labels(Outcome.FAILED).inc()
        raise


async def _speak(asked: SpeechRequest, request: Request, state: TtsState, started: float) -> Response:
    backends = _backends(asked.model, state)
    pieces = _script(asked, state.settings.max_characters)
    deadline = _deadline(state.settings.request_seconds)
    said = await unless_disconnected(request.receive, answer(asked, pieces, backends, state, deadline))
    FIRST_AUDIO_SECONDS.observe(time.perf_counter() - started)
    if asked.stream_format is StreamFormat.SSE:
        body, media_type = sse_body(said.first, said.rest, said.usage), "text/event-stream"
    else:
        body, media_type = audio_body(said.first, said.rest), said.media_type
    return SpeechResponse(body, media_type, deadline, said.headers)


def _backends(model: str, state: TtsState) -> Sequence[Backend]:
    """All, or the one that a model names: then no other speaks in its place."""
    if model in MODEL_ALIASES:
        return state.backends
    named = [backend for backend in state.backends if backend.name == model]
    if not named:
        known = ", ".join((*(backend.name for backend in state.backends), *MODEL_ALIASES))
        raise Problem(404, ErrorCode.MODEL_NOT_FOUND, f"There is no model {model!r}; there are: {known}.")
    return named


def _script(asked: SpeechRequest, limit: int) -> list[Piece]:
    if len(asked.input) > limit:
        raise Problem(
            422,
            ErrorCode.INPUT_TOO_LONG,
            f"The input has {len(asked.input)} characters; at most {limit} can be spoken at once. Send it in parts.",
            limit=limit,
        )
    try:
        language = Language(asked.language) if asked.language else None
    except ValueError:
        raise Problem(
            422, ErrorCode.LANGUAGE_UNKNOWN, "`language` is `ko` or `en`; leave it out to tell by script."
        ) from None
    pieces = script(asked.input, language)
    if not pieces:
        raise Problem(
            422, ErrorCode.INPUT_UNSPEAKABLE, "The input has no word in Hangul or Latin letters and no number to say."
        )
    return pieces


def _deadline(seconds: float) -> Deadline:
    ours, callers = Deadline.after(seconds), current_deadline()
    return callers if callers is not None and callers.at < ours.at else ours


def _outcome(problem: Problem) -> Outcome:
    by_code = {
        ErrorCode.MODEL_UNAVAILABLE: Outcome.UNAVAILABLE,
        ErrorCode.DEADLINE_EXCEEDED: Outcome.DEADLINE,
    }
    return by_code.get(problem.code, Outcome.REFUSED)

"""The OpenAI endpoints, passed through to the services that have them."""

import asyncio
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chammal_api.relay import relay_json, relay_upload
from chammal_api.state import state_of
from chammal_contracts import headers as wire
from chammal_contracts.chat import ModelList
from chammal_contracts.errors import ErrorCode
from chammal_contracts.models import ModelState
from chammal_contracts.speech import SpeechRequest
from chammal_contracts.stages import Stage
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.openapi import inlined
from chammal_kit.problems import Problem
from chammal_kit.upstream import Reply, Upstream, UpstreamError

router = APIRouter(prefix="/v1", tags=["OpenAI"])


def _takes(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


_RECORDING = {"file": {"type": "string", "format": "binary"}, "model": {"type": "string"}}
_UPLOAD = _takes("multipart/form-data", {"type": "object", "properties": _RECORDING, "required": ["file"]})
_CHAT = _takes(
    "application/json",
    {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "messages": {"type": "array", "items": {"type": "object"}, "minItems": 1},
            "stream": {"type": "boolean"},
        },
        "required": ["messages"],
    },
)
_SPEECH = _takes("application/json", inlined(SpeechRequest))


@router.post("/audio/transcriptions", response_class=Response, openapi_extra=_UPLOAD)
async def transcriptions(request: Request) -> Response:
    """OpenAI's transcription, answered by the stt service."""
    state = state_of(request)
    return await relay_upload(request, state["stt"], Stage.STT, state["settings"].max_upload_bytes, state["tally"])


@router.post("/audio/speech", response_class=Response, openapi_extra=_SPEECH)
async def speech(request: Request) -> Response:
    """OpenAI's speech, answered by the tts service as it is made."""
    state = state_of(request)
    return await relay_json(request, state["tts"], Stage.TTS, state["settings"].max_json_bytes, state["tally"])


@router.post("/chat/completions", response_class=Response, openapi_extra=_CHAT)
async def chat_completions(request: Request) -> Response:
    """OpenAI's chat, answered by the llm-gateway."""
    state = state_of(request)
    return await relay_json(request, state["llm"], None, state["settings"].max_json_bytes, state["tally"])


SHORT_CUTS = (Route("/v1/chat/completions", chat_completions, methods=["POST"]),)
"""FastAPI's own route stays for the OpenAPI document; this one answers, at a tenth less processor time."""


LIST_SECONDS = 8.0
"""Longer than the 5 s that the gateway waits for a backend's list."""


@router.get("/models")
async def models(request: Request, response: Response) -> ModelList:
    """What can be named in a request. Models of a service that does not answer are missing, and the header says so."""
    state = state_of(request)
    services: dict[Stage, Upstream] = {Stage.STT: state["stt"], Stage.ANALYSIS: state["llm"], Stage.TTS: state["tts"]}
    lists = await unless_disconnected(request.receive, _lists(services.values()))
    missing = [f"{stage}=dummy" for stage, found in zip(services, lists, strict=True) if found is None]
    if len(missing) == len(services):
        raise Problem(503, ErrorCode.BACKENDS_FAILED, "No service told its models.", headers={"Retry-After": "5"})
    if missing:
        response.headers[wire.DEGRADED] = ", ".join(missing)
    return ModelList(data=[card for found in lists if found for card in found.data])


async def _lists(services: Iterable[Upstream]) -> list[ModelList | None]:
    return await asyncio.gather(*map(_models_of, services))


async def _models_of(upstream: Upstream) -> ModelList | None:
    """Within seconds: the time-outs of the service itself are for its models' work."""
    known = upstream.policy.timeouts
    first_byte, total = min(known.first_byte, LIST_SECONDS), min(known.total, LIST_SECONDS)
    timeouts = known.model_copy(update={"first_byte": first_byte, "total": total})
    try:
        return (await upstream.request("GET", "/v1/models", timeouts=timeouts, parse=_read_models)).value
    except UpstreamError:
        return None


def _read_models(reply: Reply[None]) -> ModelList:
    listed = ModelList.model_validate(reply.json())
    return ModelList(data=[card for card in listed.data if (card.model_extra or {}).get("state") != ModelState.MISSING])

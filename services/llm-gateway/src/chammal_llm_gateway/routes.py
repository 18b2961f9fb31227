"""The gateway's endpoints."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chammal_contracts.chat import ModelList, Provenance
from chammal_contracts.errors import ProblemBody
from chammal_contracts.headers import ATTEMPTS, BACKEND
from chammal_contracts.health import Readiness
from chammal_kit.body_limit import read_body
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.limiter import Limiter, Permit
from chammal_kit.logs import component_logger
from chammal_kit.openapi import inlined
from chammal_llm_gateway.gateway import Gateway
from chammal_llm_gateway.media import check_media
from chammal_llm_gateway.readiness import ReadinessProbe
from chammal_llm_gateway.request import ChatRequest, read_request
from chammal_llm_gateway.settings import LlmSettings

log = component_logger("AgentBackend")
router = APIRouter()


class ChatCompletion(BaseModel):
    """OpenAI's chat completion, as the backend wrote it, with Chammal's provenance."""

    model_config = ConfigDict(extra="allow")

    id: str | None = None
    choices: list[dict[str, Any]]
    chammal: Provenance


CLIENT_CLOSED_REQUEST = 499
_HEADERS = {
    BACKEND: {"description": "Which backend answered.", "schema": {"type": "string"}},
    ATTEMPTS: {"description": "What was tried, in order.", "schema": {"type": "string"}},
}
_CHAT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer. Streams end with [DONE], or with an error event where they broke off.",
        "headers": _HEADERS,
        "model": ChatCompletion,
        "content": {"text/event-stream": {}},
    },
    400: {"model": ProblemBody, "description": "Not JSON, or refused by the backend as the caller's fault."},
    404: {"model": ProblemBody, "description": "model_not_found; the names that are known are in `models`."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    422: {"model": ProblemBody, "description": "Not a chat request, or a schema that cannot be used."},
    503: {"model": ProblemBody, "description": "backends_failed, with `attempts` and Retry-After."},
}


@router.post(
    "/v1/chat/completions",
    tags=["chat"],
    response_class=Response,
    responses=_CHAT_RESPONSES,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined(ChatRequest)}},
        }
    },
)
async def create_chat_completion(request: Request) -> Response:
    """Ask a language model. OpenAI's fields, plain or streamed, with `response_format` json_schema or json_object.

    JSON is checked before it leaves; with `stream` it is awaited, checked, and then sent as events.
    """
    settings: LlmSettings = request.state.settings
    gateway: Gateway = request.state.gateway
    limiter: Limiter = request.state.limiter
    permit = limiter.admit()
    try:
        with permit.receiving():
            body = await read_body(request, settings.max_request_bytes)
        chat = read_request(body)
        check_media(chat.messages, request.state.egress)
        answer = await _answer(request, gateway, chat, settings)
    except BaseException:
        permit.leave()
        raise
    if isinstance(answer, StreamedAnswer):
        answer.permit = permit
    else:
        permit.leave()
    return answer


async def _answer(request: Request, gateway: Gateway, chat: ChatRequest, settings: LlmSettings) -> Response:
    if settings.log_text:
        log.debug("chat request: %s", chat.messages)
    if chat.stream:
        return StreamedAnswer(gateway, chat)
    try:
        answer = await unless_disconnected(request.receive, gateway.complete(chat))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    body = {**answer.completion, "chammal": answer.provenance}
    return Response(to_json(body), headers=answer.headers, media_type="application/json")


class StreamedAnswer(Response):
    """Begins when the first token is here, so that the status and headers tell the truth.

    One task opens the upstream, reads it and sends: time-outs and cancellation belong to the task that set them.
    """

    media_type = "text/event-stream"

    def __init__(self, gateway: Gateway, chat: ChatRequest) -> None:
        super().__init__()
        self.permit: Permit | None = None
        """Left at the end."""
        del self.headers["content-length"]
        self.headers["Cache-Control"] = "no-cache"
        self._gateway = gateway
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_disconnected(receive, self._pass_on(send))
        except ClientDisconnect:
            log.info("the client left its stream")
        finally:
            if self.permit is not None:
                self.permit.leave()

    async def _pass_on(self, send: Send) -> None:
        async with self._gateway.stream(self._chat) as stream:
            self.headers.update(stream.headers)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for event in stream.events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


@router.get(
    "/v1/models", tags=["chat"], responses={503: {"model": ProblemBody, "description": "No backend can be reached."}}
)
async def list_models(request: Request) -> ModelList:
    """The models that the backends list, and `default`: whichever model the first backend that answers has."""
    gateway: Gateway = request.state.gateway
    return await unless_disconnected(request.receive, gateway.models())


@router.get("/ready", tags=["operations"], responses={503: {"model": Readiness, "description": "No backend answers."}})
async def get_ready(request: Request) -> Response:
    """Asks for one token; the answer is repeated for a few seconds. Ready when any backend answers."""
    probe: ReadinessProbe = request.state.probe
    readiness = await probe.readiness()
    return Response(
        readiness.model_dump_json(), status_code=200 if readiness.ready else 503, media_type="application/json"
    )

"""`WS /v1/realtime`: a conversation, by OpenAI's Realtime protocol."""

import asyncio

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from chammal_api.live import close_reason
from chammal_api.realtime.metrics import ENDINGS, RealtimeOutcome
from chammal_api.realtime.session import Disconnected, Ending
from chammal_api.realtime.sessions import RealtimeSessions
from chammal_contracts.errors import ErrorCode
from chammal_contracts.realtime import RealtimeClose
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem

log = component_logger("Realtime")
router = APIRouter()

_SUBPROTOCOL = "realtime"
"""What OpenAI's client offers in a browser, before its key."""
_CLOSE_SECONDS = 2.0
_MODEL_CHARACTERS = 128
_OUR_FAULT = Ending(RealtimeOutcome.ERROR, RealtimeClose.FAILED, "The service met an error of its own.")


@router.websocket("/v1/realtime")
async def converse(caller: WebSocket) -> None:
    sessions: RealtimeSessions = caller.state.conversations
    try:
        _check(caller)
        sessions.enter()
    except Problem as problem:
        ENDINGS.labels(RealtimeOutcome.REFUSED).inc()
        await caller.send_denial_response(problem.response())
        return
    ending = _OUR_FAULT
    try:
        offered = caller.scope.get("subprotocols", ())
        await caller.accept(_SUBPROTOCOL if _SUBPROTOCOL in offered else None)
        ending = await sessions.run(Line(caller), caller.query_params.get("model"))
    except OSError:  # it left before the handshake was answered
        ending = Ending(RealtimeOutcome.FINISHED, RealtimeClose.FINISHED)
    except Exception:  # the boundary of one session: its log line, and a close code that says whose fault it is
        log.exception("A conversation failed.")
    finally:
        sessions.leave()
        ENDINGS.labels(ending.outcome).inc()
    await _close(caller, ending)
    log.info("A conversation ended: %s %s", ending.outcome, ending.reason)


def _check(caller: WebSocket) -> None:
    """Raises Problem."""
    query = caller.query_params
    for name in query:
        if name != "model":
            detail = f"The query parameter {name[:80]!r} is not supported."
            if name == "intent":
                detail += " For transcription alone there is WS /v1/stream."
            raise Problem(400, ErrorCode.INVALID_REQUEST, detail)
    if len(query.get("model", "")) > _MODEL_CHARACTERS:
        raise Problem(400, ErrorCode.INVALID_REQUEST, f"`model` has at most {_MODEL_CHARACTERS} characters.")


class Line:
    """The client's WebSocket, as a session sees it."""

    def __init__(self, caller: WebSocket) -> None:
        self._caller = caller

    async def receive(self) -> str | bytes:
        try:
            message = await self._caller.receive()
        except RuntimeError:  # what closed it was received already
            raise Disconnected from None
        if message["type"] == "websocket.disconnect":
            raise Disconnected(message.get("code", RealtimeClose.FINISHED), message.get("reason") or "")
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def send(self, text: str) -> None:
        try:
            await self._caller.send_text(text)
        except (RuntimeError, OSError, WebSocketDisconnect) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Disconnected from None


async def _close(caller: WebSocket, ending: Ending) -> None:
    """Nothing is left to close where the client closed it."""
    if ending.outcome in (RealtimeOutcome.FINISHED, RealtimeOutcome.TOO_BIG):
        return
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await caller.close(ending.code, close_reason(ending.reason))
    except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
        pass  # it is gone, which is what was wanted

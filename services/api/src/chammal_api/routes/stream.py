"""`WS /v1/stream`: a live session, answered by the stt service."""

import asyncio

from fastapi import APIRouter, WebSocket
from starlette.responses import Response
from websockets.asyncio.client import ClientConnection

from chammal_api.clients.failure import describe, words_for_the_caller
from chammal_api.clients.stream import open_stream
from chammal_api.live import Ending, LiveSessions, close_caller, unreachable
from chammal_api.tally import LIVE_ENDINGS, LiveOutcome
from chammal_contracts.live import CloseCode
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.upstream import UpstreamError

log = component_logger("Live")
router = APIRouter()

_PATH = "/v1/stream"
_OUR_FAULT = Ending(LiveOutcome.ERROR, CloseCode.FAILED, "The service met an error of its own.")
_GONE = Ending(LiveOutcome.ABANDONED, CloseCode.SHUTTING_DOWN)


@router.websocket(_PATH)
async def stream(caller: WebSocket) -> None:
    sessions: LiveSessions = caller.state.live
    try:
        sessions.enter()
    except Problem as problem:
        LIVE_ENDINGS.labels(LiveOutcome.REFUSED).inc()
        await caller.send_denial_response(problem.response())
        return
    ending = _OUR_FAULT
    try:
        ending = await _serve(caller, sessions)
    except Exception:  # the boundary of one session: its log line, and a close code that says whose fault it is
        log.exception("A live session failed.")
    finally:
        sessions.leave()
        LIVE_ENDINGS.labels(ending.outcome).inc()
    log.info("A live session ended: %s %s", ending.outcome, ending.reason)


async def _serve(caller: WebSocket, sessions: LiveSessions) -> Ending:
    """stt's handshake goes first, so that its refusal is the caller's."""
    try:
        connection = await open_stream(sessions.stt, _PATH)
    except UpstreamError as error:
        return await _refuse(caller, error)
    ending = _OUR_FAULT
    try:
        ending = await sessions.run(caller, connection) if await _accepted(caller) else _GONE
    finally:
        await asyncio.gather(close_caller(caller, ending), _close(connection, ending))
    return ending


async def _refuse(caller: WebSocket, error: UpstreamError) -> Ending:
    """In stt's own words, where it has some."""
    if words_for_the_caller(error) is None:
        ending = unreachable(describe(error))
        if await _accepted(caller):
            await close_caller(caller, ending)
        return ending
    kept = {name: error.headers[name] for name in ("content-type", "retry-after") if name in error.headers}
    await caller.send_denial_response(Response(error.body, error.http_status or 503, kept))
    return Ending(LiveOutcome.REFUSED, CloseCode.TRY_AGAIN, describe(error))


async def _accepted(caller: WebSocket) -> bool:
    try:
        await caller.accept()
    except OSError:  # it left meanwhile
        return False
    return True


async def _close(connection: ClientConnection, ending: Ending) -> None:
    """At once, with the caller's own code where it was the caller who left."""
    if ending.outcome is LiveOutcome.ABANDONED:
        await connection.close(ending.code, ending.reason)
    else:
        await connection.close(CloseCode.SHUTTING_DOWN)

"""`WS /v1/stream`: live sessions, how many there are, and their end when the service ends."""

import asyncio

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import CloseCode
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.request_id import current_request_id
from chammal_stt.live.dictation import Dictation, Recogniser
from chammal_stt.live.protocol import Ending
from chammal_stt.live.session import Disconnected, Session
from chammal_stt.metrics import LIVE_ENDINGS, LIVE_SESSIONS, SessionOutcome
from chammal_stt.settings import SttSettings

log = component_logger("Live")

router = APIRouter()

_CLOSE_SECONDS = 2.0
_REASON_BYTES = 120
"""A close frame takes 123."""


class LiveSessions:
    """All that are open."""

    def __init__(self, recogniser: Recogniser, settings: SttSettings) -> None:
        self.settings = settings
        self._dictation = Dictation(recogniser, settings.worker_count)
        self._open: set[Session] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self.draining = False
        LIVE_SESSIONS.set_function(lambda: len(self._open))

    @property
    def count(self) -> int:
        return len(self._open)

    def refusal(self) -> Problem | None:
        """Why another session cannot begin now."""
        if self.draining:
            return Problem(503, ErrorCode.SERVER_SHUTTING_DOWN, "The service is shutting down.")
        if len(self._open) >= self.settings.live_sessions:
            detail = f"All {self.settings.live_sessions} live sessions are taken. Try again a little later."
            return Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": "10"})
        return None

    async def run(self, name: str, client: "Client") -> Ending:
        session = Session(name, client, self._dictation, self.settings)
        self._open.add(session)
        self._nobody.clear()
        try:
            return await session.run()
        finally:
            self._open.discard(session)
            if not self._open:
                self._nobody.set()

    async def drain(self) -> None:
        """Ends every session after the finals of what was said so far."""
        self.draining = True
        for session in tuple(self._open):
            session.shut_down()
        await self._nobody.wait()


class Client:
    """The WebSocket, as a session sees it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        try:
            message = await self._socket.receive()
        except (WebSocketDisconnect, RuntimeError):  # the latter: what closes it was received already
            raise Disconnected from None
        if message["type"] == "websocket.disconnect":
            raise Disconnected
        text: str | None = message.get("text")
        return text if text is not None else bytes(message["bytes"])

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise Disconnected from None

    async def close(self, ending: Ending) -> None:
        """A client that does not read is given a moment; then the server drops the connection."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        reason = ending.reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close(ending.code, reason)
        except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            log.debug("The client was gone before the session was closed.")


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    sessions: LiveSessions = socket.state.live
    refusal = sessions.refusal()
    if refusal is not None:
        LIVE_ENDINGS.labels(SessionOutcome.REFUSED).inc()
        await socket.send_denial_response(refusal.response())
        return
    await socket.accept()
    client = Client(socket)
    ending = Ending(SessionOutcome.ERROR, CloseCode.FAILED, "The service met an error of its own.")
    try:
        ending = await sessions.run(current_request_id() or "", client)
    except Exception:  # the boundary of one session: its log line, and a close code that says whose fault it is
        log.exception("A live session failed.")
    finally:
        LIVE_ENDINGS.labels(ending.outcome).inc()
    log.info("A live session ended: %s %s", ending.outcome, ending.reason)
    await client.close(ending)

"""WebSockets under uvicorn, for services that serve them. Needs the package websockets."""

from asyncio import TimerHandle

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MESSAGE_BYTES = 1 << 20
PING_SECONDS = 20.0
"""Keeps proxies from dropping a quiet connection. A missing pong ends nothing: it may wait behind unread messages."""
ABORT_SECONDS = 15.0
LINGER_SECONDS = 0.5


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Lets go of a client that does not read: closing alone waits for as long as it has not taken what was sent."""

    _aborting: TimerHandle | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Neither a client that is gone before its handshake is answered nor a refusal is an error of the app's."""
        await super().send(message)
        if message["type"] == "websocket.accept" and not self.handshake_complete:
            raise ClientDisconnected
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    def data_received(self, data: bytes) -> None:
        if self.conn.parser_exc is None:  # else it is the rest of what was refused
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """Reads on for a while: a connection closed on unread bytes is reset, and the client never learns why."""
        refused = self.conn.close_sent
        assert refused is not None  # noqa: S101
        self.queue.put_nowait({"type": "websocket.disconnect", "code": refused.code, "reason": refused.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected:
                self._aborting = self.loop.call_later(ABORT_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._aborting is not None:
            self._aborting.cancel()
        super().connection_lost(exc)

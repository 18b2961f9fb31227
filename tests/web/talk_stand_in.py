"""The page `/talk` beside a `/v1/realtime` that says what the test tells it to: no ears, no mind and no voice."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect

from chammal_api.access import ACCESS
from chammal_api.routes import page
from chammal_contracts.realtime import SERVER_EVENT
from chammal_contracts.realtime_client import CLIENT_EVENT, AudioAppend
from chammal_kit.app import create_app
from chammal_kit.door import ANY_KEY, Access, Door, path_of
from chammal_kit.keys import KeyScope
from chammal_kit.settings import ServiceSettings
from tests.web.serving import PATIENCE, Stop, serve

TALKERS: Access = frozenset({KeyScope.CONVERSATION})
SESSION = {"id": "sess_1", "expires_at": 2_000_000_000}


@dataclass
class TalkStandIn:
    sent: list[dict[str, Any]] = field(default_factory=list)
    """By the page, but for audio."""
    audio: bytearray = field(default_factory=bytearray)
    """pcm16 that the page sent."""
    full: bool = False
    """Whoever wants to talk is sent away."""
    mute: bool = False
    """Nobody answers a session.update."""
    connections: int = 0
    protocols: list[list[str]] = field(default_factory=list)
    address: str = ""
    loop: asyncio.AbstractEventLoop | None = None
    sockets: list[WebSocket] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def tell(self, *events: dict[str, Any]) -> None:
        """Each must be one that the contract knows."""
        for event in events:
            self._tell(SERVER_EVENT.validate_python(event).model_dump_json(exclude_none=True))

    def _tell(self, text: str) -> None:
        self._on_loop(lambda socket: socket.send_text(text))

    def close(self, code: int, reason: str = "") -> None:
        self._on_loop(lambda socket: socket.close(code, reason))

    def _on_loop(self, work: Callable[[WebSocket], Awaitable[None]]) -> None:
        assert self.loop is not None

        async def all_of_them() -> None:
            for socket in list(self.sockets):
                await work(socket)

        asyncio.run_coroutine_threadsafe(all_of_them(), self.loop).result(PATIENCE)

    def wait(self, kind: str, number: int = 1) -> dict[str, Any]:
        """The n-th event of this type that the page sends."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.sent if one["type"] == kind]

        with self.came:
            assert self.came.wait_for(lambda: len(found()) >= number, PATIENCE), (kind, self.sent)
        return found()[number - 1]

    def wait_for_audio(self, seconds: float) -> bytes:
        with self.came:
            assert self.came.wait_for(lambda: len(self.audio) >= seconds * 48_000, PATIENCE), len(self.audio)
        return bytes(self.audio)

    async def take(self, text: str) -> None:
        event = CLIENT_EVENT.validate_json(text)
        with self.came:
            if isinstance(event, AudioAppend):
                self.audio += base64.b64decode(event.audio, validate=True)
            else:
                self.sent.append(event.model_dump(mode="json", exclude_unset=True) | {"type": event.type})
            self.came.notify_all()


def routes(stand_in: TalkStandIn) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": []}

    @router.websocket("/v1/realtime")
    async def realtime(socket: WebSocket) -> None:
        stand_in.protocols.append(list(socket.scope["subprotocols"]))
        if stand_in.full:
            await socket.close()
            return
        await socket.accept()
        stand_in.connections += 1
        stand_in.sockets.append(socket)
        try:
            await socket.send_json({"type": "session.created", "session": SESSION})
            while True:
                text = await socket.receive_text()
                await stand_in.take(text)
                if '"session.update"' in text and not stand_in.mute:
                    await socket.send_json({"type": "session.updated", "session": SESSION})
        except (WebSocketDisconnect, RuntimeError):  # the latter when the test has closed it
            pass
        finally:
            stand_in.sockets.remove(socket)

    return router


def start(stand_in: TalkStandIn, door: Door | None = None, port: int = 0) -> Stop:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stand_in.loop = asyncio.get_running_loop()
        yield

    canned = routes(stand_in)
    app = create_app(
        service="page",
        distribution="chammal-api",
        lifespan=lifespan,
        routers=[page.router, canned],
        settings=ServiceSettings(),
        door=door,
        access={path_of(one): ACCESS.get(path_of(one), TALKERS) for one in (*page.router.routes, *canned.routes)}
        | {"/v1/models": ANY_KEY},
    )
    stand_in.address, stop = serve(app, port)
    return stop

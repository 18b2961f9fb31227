"""An api in this process, and persons who talk to it over real sockets."""

import asyncio
import base64
import contextlib
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_contracts.realtime import SERVER_EVENT
from chammal_kit.serve import Server, configure
from tests.stand_in_stages import LOUD_SECOND, QUIET_SECOND

PATIENCE = 60.0
Event = dict[str, Any]


class Person:
    """A client of one conversation."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[Event] = []

    async def send(self, kind: str, **fields: object) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def configure(self, **session: object) -> Event:
        await self.send("session.update", session={"type": "realtime", **session})
        return await self.until("session.updated", "error")

    async def say(self, audio: bytes = LOUD_SECOND) -> None:
        await self.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    async def speak(self) -> None:
        """A second of speech, and silence after it."""
        await self.say(LOUD_SECOND)
        await self.say(QUIET_SECOND)

    async def next(self) -> Event:
        async with asyncio.timeout(PATIENCE):
            text = await self.connection.recv()
        SERVER_EVENT.validate_json(text)
        event: Event = json.loads(text)
        self.events.append(event)
        return event

    async def until(self, *kinds: str) -> Event:
        while True:
            event = await self.next()
            if event["type"] in kinds:
                return event

    async def closed(self) -> tuple[int, str]:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.next()
        return self.connection.close_code or 0, self.connection.close_reason or ""

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]


class Api:
    def __init__(self, settings: ApiSettings) -> None:
        self.server = Server(configure(create(settings), settings, websockets=True))
        self.server.config.port = 0
        self._running = asyncio.create_task(self.server.serve())

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.server.started:  # noqa: ASYNC110 uvicorn tells nobody
                await asyncio.sleep(0.01)

    @property
    def address(self) -> str:
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"ws://127.0.0.1:{port}/v1/realtime"

    def connect(self, query: str = "?model=gpt-realtime", **options: Any) -> connect:
        return connect(self.address + query, proxy=None, max_size=None, **options)

    async def close(self) -> None:
        self.server.should_exit = True
        await self._running

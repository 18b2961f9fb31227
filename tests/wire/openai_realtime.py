"""A conversation by the official openai client."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.wire.service import PATIENCE

PIECE_BYTES = 4800


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncRealtimeConnection]:
    async with (
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none is needed", max_retries=0) as client,
        client.realtime.connect(model="gpt-realtime", websocket_connection_options={"proxy": None}) as connection,
    ):
        assert (await connection.recv()).type == "session.created"
        yield connection


async def say(connection: AsyncRealtimeConnection, audio: bytes) -> None:
    """16-bit samples at 24 kHz, as fast as they are taken."""
    for at in range(0, len(audio), PIECE_BYTES):
        await connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + PIECE_BYTES]).decode())


async def until(connection: AsyncRealtimeConnection, kind: str, seconds: float = PATIENCE) -> tuple[Any, list[Any]]:
    """That event, and all up to it."""
    events = []
    async with asyncio.timeout(seconds):
        async for event in connection:
            events.append(event)
            if event.type == kind:
                return event, events
    raise AssertionError("the connection ended")


def of(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event.type == kind]

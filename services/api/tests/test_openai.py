"""The list of models over real sockets, when a service hangs."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from chammal_api.app import create
from chammal_api.routes import openai
from chammal_api.settings import ApiSettings
from chammal_kit.serve import Server, configure

pytestmark = pytest.mark.anyio

REQUEST = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


class Hung:
    """Takes a request and never answers."""

    def __init__(self) -> None:
        self.asked, self.left = asyncio.Event(), asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await reader.read()
        self.left.set()
        writer.close()


@pytest.fixture
async def hung() -> AsyncIterator[Hung]:
    subject = Hung()
    server = await asyncio.start_server(subject.serve, "127.0.0.1", 0)
    subject.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield subject
    server.close()


@pytest.fixture
async def port(hung: Hung) -> AsyncIterator[int]:
    nobody = "http://127.0.0.1:1"
    settings = ApiSettings(stt_url=hung.url, llm_url=nobody, tts_url=nobody, shutdown_seconds=1)
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(configure(create(settings), settings, websockets=False))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    yield listening.getsockname()[1]
    server.should_exit = True
    await running


async def test_a_caller_that_leaves_its_list_of_models_ends_the_question(hung: Hung, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    await hung.asked.wait()
    writer.close()
    await hung.left.wait()


async def test_a_list_of_models_waits_seconds_and_not_hours(
    hung: Hung, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "LIST_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    assert (await reader.readline()).split()[1] == b"503"
    await hung.left.wait()
    writer.close()

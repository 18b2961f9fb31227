"""`stream=true` through the api, over real sockets: each event arrives when it is sent."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_kit.serve import Server, configure

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
STT = "/v1/audio/transcriptions"
PROGRESS = 'event: transcript.progress\ndata: {"text": "참말"}\n\n'
COMMENT = ": still at work\n\n"
DONE = 'event: transcript.text.done\ndata: {"text": "참말"}\n\n'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Stt:
    """Sends what the test puts into `events`; None ends it."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[str | None] = asyncio.Queue()
        self.form: dict[str, object] = {}
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.app = Starlette(routes=[Route(STT, self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> Response:
        async with request.form() as form:
            self.form = dict(form)
        self.asked.set()
        try:
            first = await self._next(request)
        except asyncio.CancelledError:
            self.left.set()
            return Response(status_code=499)
        return StreamingResponse(self._rest(first), media_type="text/event-stream")

    async def _next(self, request: Request) -> str | None:
        """Before the answer begins nothing cancels a route: it must look itself."""
        waiting = asyncio.ensure_future(self.events.get())
        leaving = asyncio.ensure_future(request.receive())
        await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not waiting.done():
            waiting.cancel()
        return await waiting

    async def _rest(self, event: str | None) -> AsyncIterator[str]:
        try:
            while event is not None:
                yield event
                event = await self.events.get()
        except asyncio.CancelledError:
            self.left.set()
            raise


class Served:
    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        self._running = asyncio.create_task(server.serve())

    async def url(self) -> str:
        async with asyncio.timeout(PATIENCE):
            while not self._server.started:  # noqa: ASYNC110 uvicorn tells nobody
                await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.should_exit = True
        await self._running


@pytest.fixture
async def stt() -> Stt:
    return Stt()


@pytest.fixture
async def client(stt: Stt) -> AsyncIterator[httpx2.AsyncClient]:
    behind = Served(uvicorn.Server(uvicorn.Config(stt.app, port=0, log_config=None, lifespan="off")))
    settings = ApiSettings(stt_url=await behind.url(), port=0, idle_seconds=PATIENCE)
    api = Served(Server(configure(create(settings), settings, websockets=True)))
    async with httpx2.AsyncClient(base_url=await api.url(), timeout=PATIENCE) as client:
        yield client
    await api.close()
    await behind.close()


def upload(client: httpx2.AsyncClient) -> httpx2.Request:
    files = {"file": ("a.wav", b"RIFF....", "audio/wav")}
    return client.build_request("POST", STT, files=files, data={"stream": "true"})


async def test_each_event_arrives_before_the_next_is_sent(client: httpx2.AsyncClient, stt: Stt) -> None:
    stt.events.put_nowait(PROGRESS)
    answer = await client.send(upload(client), stream=True)
    assert stt.form["stream"] == "true"
    assert answer.headers["content-type"].startswith("text/event-stream")
    pieces = answer.aiter_text()
    assert await anext(pieces) == PROGRESS
    for event in (COMMENT, PROGRESS, DONE):
        stt.events.put_nowait(event)
        assert await anext(pieces) == event
    stt.events.put_nowait(None)
    assert await anext(pieces, None) is None
    failures = (await client.get("/v1/failures")).json()["stages"][0]
    assert (failures["total"], failures["failures"]) == (1, 0)


async def test_a_caller_that_leaves_in_the_middle_ends_the_work(client: httpx2.AsyncClient, stt: Stt) -> None:
    stt.events.put_nowait(PROGRESS)
    answer = await client.send(upload(client), stream=True)
    assert await anext(answer.aiter_text()) == PROGRESS
    await answer.aclose()
    await asyncio.wait_for(stt.left.wait(), PATIENCE)


async def test_a_caller_that_leaves_before_the_first_event_ends_the_work(client: httpx2.AsyncClient, stt: Stt) -> None:
    asking = asyncio.create_task(client.send(upload(client), stream=True))
    await asyncio.wait_for(stt.asked.wait(), PATIENCE)
    asking.cancel()
    await asyncio.wait_for(stt.left.wait(), PATIENCE)


async def test_the_events_of_hours_are_not_too_much(client: httpx2.AsyncClient, stt: Stt) -> None:
    """A hundred reports, each with all of the text so far, are more than an answer in memory may have."""
    event = f'event: transcript.progress\ndata: {{"text": "{"x" * 1_000_000}"}}\n\n'
    for _ in range(20):
        stt.events.put_nowait(event)
    stt.events.put_nowait(DONE)
    stt.events.put_nowait(None)
    answer = await client.send(upload(client), stream=True)
    size = 0
    async for piece in answer.aiter_bytes():
        size += len(piece)
    assert size == 20 * len(event) + len(DONE.encode())


def test_between_two_comments_of_the_recogniser_nothing_is_cut_off() -> None:
    assert ApiSettings().idle_seconds > 2 * 15

"""A caller, two services and an upstream, over real sockets: what the caller's time and going do at the far end."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from chammal_kit.app import create_app
from chammal_kit.deadline import set_deadline
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.settings import ServiceSettings
from chammal_kit.upstream import Hedge, Upstream, UpstreamError, UpstreamPolicy

pytestmark = pytest.mark.anyio

NO_WAIT = {"wait_min": 0, "wait_max": 0}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    set_deadline(None)
    async with asyncio.timeout(30):
        yield


class Hop:
    """A service that passes what it gets to the next, whole or as a stream."""

    def __init__(self, next_url: str, settings: ServiceSettings) -> None:
        policy = UpstreamPolicy.model_validate({"retry": NO_WAIT})
        self.upstream = Upstream("next", next_url, policy, observers=())
        router = APIRouter()
        router.add_api_route("/whole", self.whole, methods=["POST"], response_model=None)
        router.add_api_route("/hedged", self.hedged, methods=["POST"], response_model=None)
        router.add_api_route("/stream", self.stream, methods=["POST"], response_model=None)
        router.add_api_route("/upload", self.upload, methods=["POST"], response_model=None)
        self.app = create_app(
            service="hop", distribution="chammal-kit", lifespan=self.lifespan, routers=[router], settings=settings
        )
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        async with aclosing(self.upstream):
            yield

    async def whole(self, request: Request) -> Response:
        return await self._ask(request, None)

    async def hedged(self, request: Request) -> Response:
        return await self._ask(request, Hedge(seconds=0.01))

    async def _ask(self, request: Request, hedge: Hedge | None) -> Response:
        body = await request.body()
        try:
            path = request.url.path
            work = self.upstream.request("POST", path, body=body, hedge=hedge)
            return Response((await unless_disconnected(request.receive, work)).body)
        except UpstreamError as error:
            return Response(str(error.failure), 504)
        except ClientDisconnect:
            self.ended.put_nowait("caller gone")
            return Response(status_code=499)

    async def stream(self, request: Request) -> Response:
        body = await request.body()

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async with self.upstream.stream("POST", "/stream", body=body) as answer:
                    async for piece in answer:
                        yield piece
            except (asyncio.CancelledError, GeneratorExit):
                self.ended.put_nowait("caller gone")
                raise

        return StreamingResponse(pieces())

    async def upload(self, request: Request) -> Response:
        try:
            reply = await self.upstream.request("POST", "/upload", body=request.stream())
        except ClientDisconnect:
            self.ended.put_nowait("caller gone")
            return Response(status_code=499)
        return Response(reply.body)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  nobody tells when
        await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(hop: Hop) -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(hop.app, http="httptools", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await task
    assert (hop.upstream.bulkhead.in_flight, hop.upstream.bulkhead.waiting) == (0, 0)


@asynccontextmanager
async def chain(faults: Any, *settings: ServiceSettings) -> AsyncIterator[tuple[str, list[Hop]]]:
    """As many services as settings, the first in front."""
    hops: list[Hop] = []
    async with AsyncExitStack() as stack:
        url = faults.url
        for told in reversed(settings or (ServiceSettings(), ServiceSettings())):
            hop = Hop(url, told)
            hops.insert(0, hop)
            url = await stack.enter_async_context(serving(hop))
        yield url, hops


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def post(url: str, path: str, body: bytes = b"{}", **headers: str) -> Any:
    reader, writer = await connect(url)
    lines = [f"POST {path} HTTP/1.1", "Host: hop", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return reader, writer


async def status_of(reader: asyncio.StreamReader) -> int:
    return int((await reader.readline()).split()[1])


async def stalls(seen: Any, writer: asyncio.StreamWriter) -> None:
    """The first piece of a stream, and nothing more."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")


def then_waits(faults: Any, begin: Any) -> Any:
    async def answer(seen: Any, writer: asyncio.StreamWriter) -> None:
        await begin(seen, writer)
        await writer.drain()
        await faults.hang(seen, writer)

    return answer


@pytest.mark.parametrize("path", ["/whole", "/hedged"])
async def test_a_caller_that_leaves_is_felt_at_the_far_end(faults: Any, path: str) -> None:
    faults.answer = faults.hang
    async with chain(faults) as (url, hops):
        _, writer = await post(url, path)
        await faults.arrived.wait()
        writer.close()
        await faults.gone.wait()
        assert [await hop.ended.get() for hop in hops] == ["caller gone"] * 2


async def test_a_caller_that_resets_its_connection_is_felt_too(faults: Any) -> None:
    faults.answer = faults.hang
    async with chain(faults) as (url, hops):
        _, writer = await post(url, "/whole")
        await faults.arrived.wait()
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await faults.gone.wait()
        assert [await hop.ended.get() for hop in hops] == ["caller gone"] * 2


async def test_a_caller_that_leaves_in_the_middle_of_a_stream_is_felt_at_the_far_end(faults: Any) -> None:
    faults.answer = then_waits(faults, stalls)
    async with chain(faults) as (url, hops):
        reader, writer = await post(url, "/stream")
        assert await reader.readuntil(b"one")
        writer.close()
        await faults.gone.wait()
        assert [await hop.ended.get() for hop in hops] == ["caller gone"] * 2


async def test_a_caller_that_leaves_in_the_middle_of_its_upload_is_felt_at_the_far_end(faults: Any) -> None:
    async def never(seen: Any, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("the body never ended")

    faults.answer = never
    async with chain(faults) as (url, hops):
        _, writer = await connect(url)
        writer.write(b"POST /upload HTTP/1.1\r\nHost: hop\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000)
        await until(lambda: faults.connections > 0)
        writer.close()
        await faults.gone.wait()
        assert [await hop.ended.get() for hop in hops] == ["caller gone"] * 2


async def test_callers_who_leave_while_they_wait_for_a_slot_are_never_sent(faults: Any) -> None:
    faults.answer = faults.hang
    async with chain(faults, ServiceSettings()) as (url, hops):
        hop = hops[0]
        hop.upstream.bulkhead.concurrency = 1
        hop.upstream.bulkhead.queue_seconds = 20
        first = await post(url, "/whole")
        await faults.arrived.wait()
        others = [await post(url, "/whole") for _ in range(5)]
        await until(lambda: hop.upstream.bulkhead.waiting == 5)
        for _, writer in (*others, first):
            writer.close()
        assert [await hop.ended.get() for _ in range(6)] == ["caller gone"] * 6
    assert len(faults.seen) == 1


async def test_each_hop_has_less_time_than_the_one_before_and_never_more_than_the_caller_gave(faults: Any) -> None:
    faults.always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    async with chain(faults) as (url, _):
        for path in ("/whole", "/stream", "/upload"):
            reader, writer = await post(url, path, Chammal_Deadline="3.5")
            assert await status_of(reader) == 200
            writer.close()
    assert len(faults.seen) == 3
    assert all(3 < float(seen.headers["chammal-deadline"]) <= 3.5 for seen in faults.seen)


async def test_a_service_s_own_limit_is_what_the_next_is_told(faults: Any) -> None:
    faults.always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    async with chain(faults, ServiceSettings(deadline_seconds=9), ServiceSettings()) as (url, _):
        reader, writer = await post(url, "/whole")
        assert await status_of(reader) == 200
        writer.close()
    assert 8 < float(faults.seen[0].headers["chammal-deadline"]) <= 9


@pytest.mark.parametrize("path", ["/whole", "/hedged"])
async def test_the_far_end_is_let_go_when_the_caller_s_time_is_over(faults: Any, path: str) -> None:
    faults.answer = faults.hang
    async with chain(faults) as (url, _):
        reader, writer = await post(url, path, Chammal_Deadline="0.2")
        assert await status_of(reader) == 504
        await faults.gone.wait()
        writer.close()


async def test_a_stream_is_cut_when_the_caller_s_time_is_over(faults: Any) -> None:
    faults.answer = then_waits(faults, stalls)
    async with chain(faults) as (url, _):
        reader, writer = await post(url, "/stream", Chammal_Deadline="0.3")
        assert b"one" in await reader.read()
        await faults.gone.wait()
        writer.close()


async def test_no_retry_is_waited_for_past_the_caller_s_time(faults: Any) -> None:
    faults.always(b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
    async with chain(faults, ServiceSettings()) as (url, _):
        reader, writer = await post(url, "/whole", Chammal_Deadline="0.9")
        assert await status_of(reader) == 504
        writer.close()
    assert len(faults.seen) == 1


async def test_what_arrives_too_late_goes_no_further(faults: Any) -> None:
    async with chain(faults, ServiceSettings()) as (url, _):
        reader, writer = await post(url, "/whole", Chammal_Deadline="0")
        assert await status_of(reader) == 504
        body = json.loads((await reader.readuntil(b"}}")).partition(b"\r\n\r\n")[2])
        assert body["code"] == "deadline_exceeded"
        writer.close()
    assert faults.connections == 0


@pytest.mark.parametrize("body", [b"{}", None], ids=["whole", "upload"])
async def test_the_transport_for_https_lets_the_far_end_go_as_well(faults: Any, body: bytes | None) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0)

    faults.answer = faults.hang
    transport = httpx2.AsyncHTTPTransport(trust_env=False)
    async with aclosing(Upstream("cloud", faults.url, transport=transport, observers=())) as upstream:
        caller = asyncio.ensure_future(upstream.request("POST", "/", body=body or endless()))
        await until(lambda: faults.connections > 0)
        if body:
            await faults.arrived.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await faults.gone.wait()
        assert upstream.bulkhead.in_flight == 0

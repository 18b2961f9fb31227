"""Real sockets; the times are short, and every wait is for the other side."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from chammal_kit.patient_http import PatientHttp
from chammal_kit.web_socket import WebSocketProtocol

pytestmark = pytest.mark.anyio

PATIENCE = 20.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Hasty(PatientHttp):
    header_seconds = 0.3
    header_bytes = 4_000
    header_fields = 20
    period_seconds = 0.2


class Served:
    def __init__(self) -> None:
        self.port = 0
        self.left: asyncio.Queue[str] = asyncio.Queue()
        self.read_on = asyncio.Event()

    async def echo(self, request: Request) -> Response:
        try:
            return PlainTextResponse(str(len(await request.body())))
        except ClientDisconnect:
            self.left.put_nowait("echo")
            raise

    async def refuse(self, request: Request) -> Response:
        return PlainTextResponse("no", 401)

    async def late(self, request: Request) -> Response:
        await self.read_on.wait()
        return PlainTextResponse(str(len(await request.body())))

    async def much(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 65_536
                    await asyncio.sleep(0)  # uvicorn does not, once the client is gone
            finally:
                self.left.put_nowait("much")

        return StreamingResponse(pieces())

    async def live(self, socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """In a hurry."""
    async with serving(Hasty) as served:
        yield served


@pytest.fixture
async def calm() -> AsyncIterator[Served]:
    """With the times that services have."""
    async with serving(PatientHttp) as served:
        yield served


@asynccontextmanager
async def serving(http: type[PatientHttp]) -> AsyncIterator[Served]:
    served = Served()
    app = Starlette(
        routes=[
            Route("/echo", served.echo, methods=["POST", "GET"]),
            Route("/refuse", served.refuse, methods=["POST"]),
            Route("/late", served.late, methods=["POST"]),
            Route("/much", served.much),
            WebSocketRoute("/live", served.live),
        ]
    )
    config = uvicorn.Config(
        app, port=0, http=http, ws=WebSocketProtocol, log_config=None, lifespan="off", timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    served.port = listening.getsockname()[1]
    running = asyncio.create_task(server.serve([listening]))
    yield served
    server.should_exit = True
    server.force_exit = True
    await running


class Client:
    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Client":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes, times: int) -> None:
        """Until the other side has had enough."""
        for _ in range(times):
            if self.reader.at_eof() or self.writer.is_closing():
                return
            self.writer.write(data)
            try:
                async with asyncio.timeout(0.02):
                    await self.reader.readuntil(b"\r\n\r\n")
                    return
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                continue

    async def pour(self, data: bytes) -> None:
        while True:
            await self.send(data)
            await asyncio.sleep(0)

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def answer(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return head + await self.reader.readexactly(length)


async def test_a_connection_on_which_nothing_is_said_is_closed(served: Served) -> None:
    async with Client(served.port) as client:
        assert await client.rest() == b""


@pytest.mark.parametrize("beginning", [b"G", b"GET /echo HTTP/1.1\r\nX-A", b"GET /echo HTTP/1.1\r\nX-A: b\r\n"])
async def test_headers_that_do_not_end_are_refused(served: Served, beginning: bytes) -> None:
    async with Client(served.port) as client:
        await client.send(beginning)
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request_too_slow" in answer


async def test_headers_that_drip_in_do_not_win_time(served: Served) -> None:
    async with Client(served.port) as client:
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n")
        async with asyncio.timeout(PATIENCE):
            await client.drip(b"X-A: b\r\n", 1_000)
        assert client.reader.at_eof() or (await client.rest()) is not None


async def test_line_breaks_before_a_second_request_do_not_hold_the_connection(served: Served) -> None:
    async with Client(served.port) as client:
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.answer()
        await client.send(b"\r\n")
        await client.rest()


@pytest.mark.parametrize(
    "headers",
    [b"X-Long: " + b"a" * 5_000, b"X-Long: " + b"a" * 300_000, b"\r\n".join(b"X-%d: a" % n for n in range(30))],
    ids=["long", "endless", "many"],
)
async def test_too_large_headers_are_431(served: Served, headers: bytes) -> None:
    async with Client(served.port) as client:
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n\r\n")
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""
    if answer:
        assert b"headers_too_large" in answer


async def test_too_long_a_path_is_431(served: Served) -> None:
    async with Client(served.port) as client:
        await client.send(b"GET /echo?" + b"a" * 5_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Transfer-Encoding: chunked, identity",
        b"Content-Length: +5",
        b"Content-Length: 5 5",
        b"Content-Length : 5",
        b"Transfer-Encoding: xchunked",
        b"X-A: b\r\n folded: c",
        b"X-A: b\x00c",
    ],
)
async def test_a_request_that_two_servers_could_read_in_two_ways_is_refused(calm: Served, headers: bytes) -> None:
    async with Client(calm.port) as client:
        await client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n\r\n0\r\n\r\nGET /echo HTTP/1.1\r\n\r\n"
        )
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_body_that_stops_is_refused_and_the_app_is_told(served: Served) -> None:
    async with Client(served.port) as client:
        await client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc")
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 408 ")
    async with asyncio.timeout(PATIENCE):
        assert await served.left.get() == "echo"


async def test_a_body_that_drips_is_refused(served: Served) -> None:
    async with Client(served.port) as client:
        await client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            await client.drip(b"x", 1_000)
    async with asyncio.timeout(PATIENCE):
        assert await served.left.get() == "echo"


async def test_nobody_is_blamed_while_the_service_does_not_read(served: Served) -> None:
    body = b"x" * 1_000_000
    async with Client(served.port) as client:
        head = f"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        sending = asyncio.create_task(client.send(head + body))
        async with Client(served.port) as idle:  # its own limit of 0.3 s passes meanwhile, twice
            await idle.rest()
        async with Client(served.port) as idle:
            await idle.rest()
        served.read_on.set()
        assert b"1000000" in await client.answer()
        await sending


async def test_what_comes_after_an_answer_is_not_taken_for_ever(served: Served) -> None:
    async with Client(served.port) as client:
        await client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b"401" in await client.answer()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ConnectionError):
                await client.pour(b"400\r\n" + b"x" * 0x400 + b"\r\n")


async def test_who_does_not_read_an_answer_is_cut_off(served: Served) -> None:
    async with Client(served.port) as client:
        await client.send(b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert await served.left.get() == "much"


async def test_requests_on_one_connection_go_on(calm: Served) -> None:
    async with Client(calm.port) as client:
        for _ in range(3):
            await client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
            await client.send(b"llo")
            assert (await client.answer()).endswith(b"\r\n\r\n5")


async def test_pipelined_requests_with_bodies_are_no_headers(calm: Served) -> None:
    one = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3_000
    async with Client(calm.port) as client:
        await client.send(one * 3 + one[:20])
        await client.send(one[20:])
        for _ in range(4):
            assert (await client.answer()).endswith(b"3000")


async def test_a_websocket_may_be_quiet_for_longer_than_headers_may_take(served: Served) -> None:
    async with connect(f"ws://127.0.0.1:{served.port}/live", proxy=None) as live:
        await live.send("a")
        assert await live.recv() == "a"
        async with Client(served.port) as idle:
            await idle.rest()
        async with Client(served.port) as idle:
            await idle.rest()
        await live.send("b")
        assert await live.recv() == "b"

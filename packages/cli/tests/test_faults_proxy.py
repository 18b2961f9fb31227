"""Each fault as a real client meets it, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from chammal.faults.fault import Fault, FaultKind
from chammal.faults.proxy import FaultProxy

pytestmark = pytest.mark.anyio

BODY = b'{"text": "the whole truth"}'
QUICK = httpx2.Timeout(0.3)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A tiny HTTP server that keeps connections and echoes how much it was sent."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            sent = 0
            if b"content-length: " in head:
                sent = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(sent)
            elif b"chunked" in head:
                sent = len(await reader.readuntil(b"0\r\n\r\n"))
            if head.startswith(b"delete"):
                writer.write(b"HTTP/1.1 204 No Content\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nx-sent: %d\r\ncontent-length: %d\r\n" % (sent, len(BODY)))
            is_last = b"connection: close" in head
            writer.write(b"connection: close\r\n\r\n" if is_last else b"\r\n")
            if not head.startswith(b"delete"):
                writer.write(BODY)
            await writer.drain()
            if is_last:
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy("x", ("127.0.0.1", 0), ("127.0.0.1", port))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.aclose()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    handlers: list[asyncio.Task[None]] = []

    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.create_task(answer(reader, writer)))

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        async with proxy_to(server.sockets[0].getsockname()[1]) as proxy:
            yield proxy
        await asyncio.gather(*handlers)


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=5, trust_env=False) as client:
        yield client


async def met(proxy: FaultProxy) -> None:
    """Waits for a request to meet its fault."""
    async with asyncio.timeout(5):
        while not proxy.counters.faulted:  # noqa: ASYNC110 - the proxy has no event for what only tests ask
            await asyncio.sleep(0)


def fault(kind: FaultKind, **more: float) -> Fault:
    return Fault.model_validate({"kind": kind, **more})


async def test_without_a_fault_a_request_and_its_answer_pass(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    for size in (0, 10, 300_000):
        answered = await client.post("/x", content=b"x" * size)
        assert (answered.content, answered.headers["x-sent"]) == (BODY, str(size))
    assert (proxy.counters.connections, proxy.counters.requests, proxy.counters.faulted) == (1, 3, 0)


async def test_a_chunked_upload_passes(client: httpx2.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"defg"

    assert (await client.post("/x", content=pieces())).headers["x-sent"] == str(
        len("3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    )


async def test_a_kept_connection_meets_the_fault_at_its_next_request(
    client: httpx2.AsyncClient, proxy: FaultProxy
) -> None:
    assert (await client.get("/")).status_code == 200
    proxy.fault = fault(FaultKind.STATUS, status=503, retry_after=7)
    failed = await client.get("/")
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "7")
    proxy.fault = None
    assert (await client.get("/")).content == BODY
    assert proxy.counters.faulted == 1


async def test_refused_is_refused_and_heals(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    assert (await client.get("/")).status_code == 200
    proxy.fault = fault(FaultKind.REFUSE)
    for _ in range(2):
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError)):  # the kept connection was reset
            await client.get("/")
    proxy.fault = None
    assert (await client.get("/")).content == BODY


async def test_a_black_hole_neither_accepts_nor_refuses(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.BLACK_HOLE)
    with pytest.raises(httpx2.ConnectTimeout):
        await client.get("/", timeout=QUICK)
    proxy.fault = None
    assert (await client.get("/")).content == BODY


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.HANG_AFTER_HEADERS, FaultKind.SLOW])
async def test_who_hangs_is_waited_for_until_the_client_gives_up(
    client: httpx2.AsyncClient, proxy: FaultProxy, kind: FaultKind
) -> None:
    proxy.fault = fault(kind)
    with pytest.raises(httpx2.ReadTimeout):
        await client.post("/", content=b"x", timeout=QUICK)


async def test_a_hanging_client_is_reset_when_it_heals(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.HANG)
    waiting = asyncio.create_task(client.get("/"))
    await met(proxy)
    proxy.fault = None
    with pytest.raises(httpx2.TransportError):
        await waiting


async def test_a_slow_answer_is_the_real_one(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.SLOW, seconds=0.01)
    assert (await client.get("/")).content == BODY


@pytest.mark.parametrize("kind", [FaultKind.DRIP, FaultKind.TRUNCATED])
async def test_an_answer_without_a_body_is_not_waited_for(
    client: httpx2.AsyncClient, proxy: FaultProxy, kind: FaultKind
) -> None:
    proxy.fault = fault(kind)
    assert (await client.delete("/")).status_code == 204
    proxy.fault = None
    assert (await client.get("/")).content == BODY


async def test_a_drip_is_the_real_answer_byte_by_byte(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.DRIP, seconds=0)
    async with client.stream("GET", "/") as answered:
        pieces = [piece async for piece in answered.aiter_raw()]
    assert b"".join(pieces) == BODY
    assert len(pieces) > 2


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.TRUNCATED])
async def test_an_answer_is_cut_in_its_middle(client: httpx2.AsyncClient, proxy: FaultProxy, kind: FaultKind) -> None:
    proxy.fault = fault(kind)
    seen = b""

    async def read() -> None:
        nonlocal seen
        async with client.stream("GET", "/") as answered:
            assert answered.status_code == 200
            async for piece in answered.aiter_raw():
                seen += piece

    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        await read()
    assert seen == BODY[: len(seen)]
    assert len(seen) < len(BODY)


async def test_garbage_is_no_http(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.GARBAGE)
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/")


@pytest.mark.parametrize(
    ("kind", "body", "media_type"),
    [
        (FaultKind.WRONG_SHAPE, b'{"unexpected": true}', "application/json"),
        (FaultKind.EMPTY_BODY, b"", "application/json"),
        (FaultKind.WRONG_CONTENT_TYPE, b"<!doctype html><title>It works</title>", "text/html"),
    ],
)
async def test_a_false_answer_is_200(
    client: httpx2.AsyncClient, proxy: FaultProxy, kind: FaultKind, body: bytes, media_type: str
) -> None:
    proxy.fault = fault(kind)
    answered = await client.post("/v1/chat/completions", content=b"x" * 200_000)
    assert (answered.status_code, answered.content, answered.headers["content-type"]) == (200, body, media_type)


async def test_invalid_json_cannot_be_read_and_nan_can(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.INVALID_JSON)
    with pytest.raises(ValueError, match="Expecting"):
        (await client.get("/")).json()
    proxy.fault = fault(FaultKind.NAN)
    answered = json.loads((await client.get("/")).content)
    assert answered["text"]
    assert answered["duration"] != answered["duration"]


@pytest.mark.parametrize(
    "sent",
    [{"json": {"stream": True}}, {"files": {"file": b"x", "stream": (None, "true")}}],
)
async def test_who_asks_for_events_gets_false_events(
    client: httpx2.AsyncClient, proxy: FaultProxy, sent: dict[str, object]
) -> None:
    proxy.fault = fault(FaultKind.WRONG_SHAPE)
    answered = await client.post("/x", **sent)  # type: ignore[arg-type]
    assert answered.headers["content-type"] == "text/event-stream"
    assert answered.content == b'data: {"unexpected": true}\n\n'


async def test_a_huge_body_is_sent_for_as_long_as_it_is_read(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.HUGE_BODY)
    seen = 0
    async with client.stream("GET", "/v1/audio/speech") as answered:
        async for piece in answered.aiter_raw():
            seen += len(piece)
            if seen > 4 << 20:
                break


async def test_a_share_of_requests_meets_the_fault(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.STATUS, status=500, share=0.5)
    statuses = [(await client.get("/")).status_code for _ in range(100)]
    assert set(statuses) == {200, 500}
    assert proxy.counters.faulted == statuses.count(500)


async def test_a_share_of_connections_is_refused(proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.REFUSE, share=0.5)
    came = 0
    for _ in range(60):
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False) as client:
            try:
                came += (await client.get("/")).status_code == 200
            except httpx2.TransportError:
                continue
    assert 0 < came < 60


async def test_a_fault_heals_by_itself(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.REFUSE, seconds_left=0.05)
    left = proxy.fault
    assert left is not None
    assert left.seconds_left is not None
    await proxy.changed.wait()
    assert proxy.fault is None
    assert (await client.get("/")).status_code == 200


async def test_a_target_that_is_gone_is_gone_through_the_proxy(proxy: FaultProxy) -> None:
    async with proxy_to(1) as nowhere, httpx2.AsyncClient(trust_env=False) as client:
        for kind in (None, FaultKind.RESET):
            nowhere.fault = fault(kind) if kind else None
            with pytest.raises(httpx2.TransportError):
                await client.get(f"http://127.0.0.1:{nowhere.port}/")


async def test_a_web_socket_passes_and_meets_faults_while_it_is_open() -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with (
        serve(echo, "127.0.0.1", 0) as server,
        proxy_to(next(iter(server.sockets)).getsockname()[1]) as proxy,
        connect(f"ws://127.0.0.1:{proxy.port}/", proxy=None) as connection,
    ):
        await connection.send("one")
        assert await connection.recv() == "one"
        proxy.fault = fault(FaultKind.HANG)
        await connection.send("two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.1)
        proxy.fault = None
        assert await connection.recv() == "two"
        proxy.fault = fault(FaultKind.RESET)
        with pytest.raises(ConnectionClosed):
            await connection.recv()


async def test_closing_ends_what_is_open(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    proxy.fault = fault(FaultKind.HANG)
    waiting = asyncio.create_task(client.get("/"))
    await met(proxy)
    await proxy.aclose()
    with pytest.raises(httpx2.TransportError):
        await waiting

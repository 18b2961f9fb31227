import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chammal_kit.http_transport import HttpTransport, MemoryRequest

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
IDLE_ENOUGH = 1000


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The services run on uvloop, whose transports are its own."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with aclosing(HttpTransport(keep_alive=4)) as subject:
        yield subject
        assert busy(subject) == 0


def connector(subject: HttpTransport) -> Any:
    assert subject._session is not None
    return subject._session.connector


def busy(subject: HttpTransport) -> int:
    return len(connector(subject)._acquired) if subject._session else 0


def request(method: str, url: str, limits: dict[str, float | None] | None = None, **content: Any) -> httpx2.Request:
    return httpx2.Request(method, url, extensions={"timeout": limits or {}}, **content)


async def answered(subject: HttpTransport, sent: httpx2.Request) -> tuple[int, bytes]:
    response = await subject.handle_async_request(sent)
    body = await response.aread()
    return response.status_code, body


async def test_nothing_is_added_to_the_headers_but_what_the_connection_needs(
    faults: Any, transport: HttpTransport
) -> None:
    faults.always(OK)
    bare = httpx2.Request("POST", faults.url + "/a?b=c%20d", headers=[("X-Twice", "1"), ("X-Twice", "2")], content=b"x")
    for name in ("accept", "accept-encoding", "connection", "user-agent"):
        bare.headers.pop(name, None)
    assert await answered(transport, bare) == (200, b"ok")
    assert faults.seen[0].line == "POST /a?b=c%20d HTTP/1.1"
    assert set(faults.seen[0].headers) == {"host", "content-length", "x-twice"}


async def test_redirects_are_answers_and_cookies_are_not_kept(faults: Any, transport: HttpTransport) -> None:
    faults.always(b"HTTP/1.1 302 No\r\nLocation: /there\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
    for _ in range(2):
        assert (await answered(transport, request("GET", faults.url)))[0] == 302
    assert [seen.line for seen in faults.seen] == ["GET / HTTP/1.1"] * 2
    assert "cookie" not in faults.seen[1].headers
    assert faults.connections == 1


async def test_a_user_in_the_address_is_not_sent(faults: Any, transport: HttpTransport) -> None:
    faults.always(OK)
    await answered(transport, request("GET", faults.url.replace("//", "//user:secret@"), headers={"host": "h"}))
    assert "authorization" not in faults.seen[0].headers


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_request_that_was_sent_is_never_sent_again(faults: Any, transport: HttpTransport, method: str) -> None:
    async def second_is_cut(seen: Any, writer: asyncio.StreamWriter) -> None:
        if len(faults.seen) == 2:
            writer.close()
        else:
            writer.write(OK)

    faults.answer = second_is_cut
    await answered(transport, request(method, faults.url))
    with pytest.raises(httpx2.RemoteProtocolError):
        await transport.handle_async_request(request(method, faults.url))
    assert len(faults.seen) == 2


async def test_a_connection_whose_end_came_in_unnoticed_is_replaced_before_anything_is_sent(
    transport: HttpTransport,
) -> None:
    """The end is in the kernel and the loop had no turn to see it: even a POST may go over a new connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        for _ in range(2):
            call = asyncio.ensure_future(answered(transport, request("POST", url, content=b"x")))
            accepted = await asyncio.to_thread(lambda: server.accept()[0])
            await asyncio.to_thread(accepted.recv, 65536)
            accepted.sendall(OK)
            assert await call == (200, b"ok")
            accepted.close()  # and from here to the next request the loop is not asked


async def test_garbage_at_once_on_a_new_connection_is_an_error_and_no_loop(transport: HttpTransport) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    async with server:
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await transport.handle_async_request(
                request("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            )


async def test_too_many_or_too_long_headers_are_a_protocol_error(faults: Any, transport: HttpTransport) -> None:
    for head in (b"X: " + b"y" * 70_000 + b"\r\n", b"".join(b"X-%d: y\r\n" % i for i in range(1000))):
        faults.always(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n")
        with pytest.raises(httpx2.RemoteProtocolError):
            await transport.handle_async_request(request("GET", faults.url))


async def test_a_header_that_would_break_the_request_is_refused(faults: Any, transport: HttpTransport) -> None:
    with pytest.raises(httpx2.LocalProtocolError):
        await transport.handle_async_request(request("GET", faults.url, headers=[("x", "a\r\nb: c")]))
    assert faults.seen == []


@pytest.mark.parametrize("declared", ["3", "5"], ids=["too long", "too short"])
async def test_a_body_of_another_length_than_declared_is_our_own_fault(
    faults: Any, transport: HttpTransport, declared: str
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    faults.always(OK)
    with pytest.raises(httpx2.LocalProtocolError, match="Content-Length"):
        await transport.handle_async_request(
            request("POST", faults.url, headers={"Content-Length": declared}, content=pieces())
        )
    assert faults.seen == []


async def test_a_body_s_own_oserror_reaches_the_caller_as_it_is(faults: Any, transport: HttpTransport) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"ab"
        raise FileNotFoundError("spool")

    faults.always(OK)
    with pytest.raises(FileNotFoundError, match="spool"):
        await transport.handle_async_request(request("POST", faults.url, content=breaks()))


@pytest.mark.parametrize("size", [1, 200_000], ids=["at once", "watched"])
async def test_a_slow_answer_to_a_body_that_was_taken_is_no_stall(
    faults: Any, transport: HttpTransport, size: int
) -> None:
    async def later(seen: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(OK)

    faults.answer = later
    limits: dict[str, float | None] = {"write": 0.05, "read": 10}
    assert await answered(transport, request("POST", faults.url, limits, content=bytes(size))) == (200, b"ok")


async def test_a_server_that_takes_no_more_is_a_write_timeout_and_the_socket_is_freed(
    transport: HttpTransport,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        before = open_sockets()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with pytest.raises(httpx2.WriteTimeout):
            await transport.handle_async_request(request("POST", url, {"write": 0.05}, content=bytes(50_000_000)))
        for _ in range(IDLE_ENOUGH):
            await asyncio.sleep(0)
        assert open_sockets() <= before + 1  # the one that the kernel accepted for the server


def open_sockets() -> int:
    """Linux tells which descriptors are sockets; elsewhere there are none to count, and the tests prove nothing."""
    folder = Path("/proc/self/fd")
    entries = folder.iterdir() if folder.exists() else ()
    return sum("socket:" in str(entry.readlink()) for entry in entries if entry.is_symlink())


async def test_a_cancelled_upload_frees_its_socket_too(transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        before = open_sockets()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.handle_async_request(request("POST", url, content=bytes(50_000_000)))
        for _ in range(IDLE_ENOUGH):
            await asyncio.sleep(0)
        assert open_sockets() <= before


async def test_an_answer_that_nobody_reads_is_not_taken_in(faults: Any, transport: HttpTransport) -> None:
    sent = 0
    stuck = asyncio.Event()

    async def endless(seen: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while sent < 100_000_000:
            writer.write(bytes(100_000))
            sent += 100_000
            try:
                async with asyncio.timeout(0.2):
                    await writer.drain()
            except TimeoutError:
                stuck.set()
                return

    faults.answer = endless
    response = await transport.handle_async_request(request("GET", faults.url))
    await stuck.wait()
    assert sent < 50_000_000
    await response.aclose()
    assert busy(transport) == 0


async def test_an_early_answer_is_seen_while_the_body_is_still_on_its_way(transport: HttpTransport) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        await writer.drain()
        with suppress(ConnectionError):
            while await reader.read(65536):  # as uvicorn does: it reads on until we go
                pass
        writer.close()
        gone.set()

    gone = asyncio.Event()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        response = await transport.handle_async_request(request("POST", url, content=endless()))
        assert (response.status_code, await response.aread()) == (413, b"no")
        await gone.wait()


async def test_why_no_connection_came_about_is_told_without_inner_addresses(transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    with pytest.raises(httpx2.ConnectError, match=r"^Connection refused$"):
        await transport.handle_async_request(request("GET", f"http://127.0.0.1:{port}/"))
    with pytest.raises(httpx2.ConnectError, match=r"^its name cannot be resolved$"):
        await transport.handle_async_request(request("GET", "http://no-such-host.invalid/"))


async def test_a_request_from_memory_is_what_it_would_be_otherwise(faults: Any, transport: HttpTransport) -> None:
    faults.always(OK)
    headers = {"host": "h", "content-length": "3", "x-own": "1"}
    for body in (b"abc", bytes(200_000)):
        told = {**headers, "content-length": str(len(body))}
        sent = MemoryRequest("POST", httpx2.URL(faults.url + "/a?b=c%20d"), told, body)
        assert await answered(transport, sent) == (200, b"ok")
        assert dict(sent.headers) == told
        assert await sent.aread() == body
        assert faults.seen[-1].line == "POST /a?b=c%20d HTTP/1.1"
        assert faults.seen[-1].headers == told
    with pytest.raises(httpx2.LocalProtocolError):
        await transport.handle_async_request(
            MemoryRequest("GET", httpx2.URL(faults.url), {"host": "h", "x": "a\r\nb: c"}, b"")
        )

"""Plain HTTP/1.1 over aiohttp's connections, for a fifth of what httpx2's own transport costs a call.

No redirects, proxies, cookies, decompression or second tries. Time-outs are read from `extensions["timeout"]`: connect,
write (how long no piece of the body is taken) and read (up to the headers; whoever reads the body bounds that).
"""

import asyncio
import os
import select
import socket
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any, ClassVar, cast
from weakref import WeakSet

import aiohttp
import httpx2
from aiohttp.connector import Connection
from yarl import URL

_WRITTEN_AT_ONCE = 32 * 1024
"""A body that fits a connection's buffer with its headers, so that writing it never waits."""
_MAX_HEADERS = 128
_MAX_HEADER_BYTES = 8190
_NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")

_NAMES: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx2.UnsupportedProtocol),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx2.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx2.RemoteProtocolError),
    (aiohttp.ClientError, httpx2.ReadError),
    (OSError, httpx2.ReadError),
    (ValueError, httpx2.LocalProtocolError),  # a header that would break the request
)
_FAILURES = (aiohttp.ClientError, OSError, ValueError)

OpenSocket = Callable[[aiohttp.AddrInfoType], socket.socket]
"""Makes the socket for one resolved address, which it may refuse with an OSError."""


class MemoryRequest(httpx2.Request):
    """A request whose headers are in order and whose body is there: nothing of it is parsed, normalised or copied,
    unless a transport other than ours asks."""

    def __init__(self, method: str, url: httpx2.URL, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.plain = headers
        self.body = body
        self.extensions = {}

    @cached_property
    def headers(self) -> httpx2.Headers:  # type: ignore[override]
        return httpx2.Headers(self.plain)

    @cached_property
    def stream(self) -> httpx2.ByteStream:  # type: ignore[override]
        return httpx2.ByteStream(self.body)


class HttpTransport(httpx2.AsyncBaseTransport):
    """Belongs to the event loop of its first request. Connections are not limited: the bulkhead does that."""

    def __init__(self, *, keep_alive: float, open_socket: OpenSocket | None = None) -> None:
        self._keep_alive = keep_alive
        self._open_socket = open_socket
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        session = self._session or self._open()
        limits = request.extensions.get("timeout", {})
        headers, body = _plain(request)
        upload = None
        if body is None:
            upload = _Upload(request, limits.get("write"))
        try:
            answer = await session.request(
                request.method,
                _address(request.url),
                headers=headers,
                data=upload.pieces() if upload else body or None,
                allow_redirects=False,
                timeout=_timeout(limits.get("connect"), limits.get("read")),
                middlewares=(upload.once if upload else _once,),
            )
        except (httpx2.TransportError, *_FAILURES) as error:
            if upload and upload.error:
                raise upload.error from None
            raise _translated(error) from error
        finally:
            if upload:
                upload.settle()
        if answer.connection is not None and answer.connection.protocol is not None:
            answer.connection.protocol.read_timeout = None
            answer.connection.protocol.start_timeout()  # with none, so this ends the one that runs
        return httpx2.Response(answer.status, headers=list(answer.raw_headers), stream=Answer(answer, upload))

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=self._keep_alive, use_dns_cache=False, socket_factory=self._open_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Sending,
            skip_auto_headers=_NOT_ADDED,
            auto_decompress=False,
            trust_env=False,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
        )
        return self._session


class _Stale(Exception):
    """The server closed this idle connection and nothing has been sent on it yet."""


class _Sending(aiohttp.ClientRequest):
    """Keeps hold of the connection, since aiohttp closes a failed one politely: after all that waits is written."""

    wire: asyncio.Transport | None = None
    _used: ClassVar[WeakSet[Any]] = WeakSet()

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        self.wire = conn.transport
        if conn.protocol in self._used:
            if self.wire is not None and _has_news(self.wire):
                raise _Stale
        else:
            self._used.add(conn.protocol)
        return await super().send(conn)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Translates here, because aiohttp would send what it takes for idempotent a second time by itself."""
    while True:
        try:
            return await handler(request)
        except _Stale:
            continue
        except BaseException as error:
            if isinstance(request, _Sending) and request.wire is not None:
                request.wire.abort()
            if isinstance(error, _FAILURES):
                raise _translated(error) from error
            raise


class _Upload:
    """A body that may take its time, watched: nobody else would notice a server that takes no more of it."""

    def __init__(self, request: httpx2.Request, limit: float | None) -> None:
        self._source = cast("AsyncIterable[bytes]", request.stream)
        self._length = request.headers.get("content-length")
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: _Sending | None = None
        self._wire: asyncio.Transport | None = None
        self._settled = self._complete = False
        self.error: Exception | None = None
        """Why there is no whole body, where that is not the server's doing."""

    async def once(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        self._sending = cast("_Sending", request)
        return await _once(request, handler)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in self._counted():
                self._watch()
                yield piece
                self._unwatch()
        except Exception as error:  # the caller's own, whatever it is: raised to the caller where it asked
            self.error = error
            raise
        self._complete = True
        self._watch()

    def settle(self) -> None:
        """The headers of the answer are here, or never will be."""
        self._settled = True
        self._unwatch()
        if self._sending is not None:
            self._wire = self._sending.wire
        self._sending = None  # it holds the body, which holds us

    def abandon(self) -> None:
        """The answer is done with, and so is what it did not wait for."""
        if self._wire is not None and not self._complete:
            self._wire.abort()

    async def _counted(self) -> AsyncGenerator[bytes, None]:
        """aiohttp cuts a body that is longer than its Content-Length, and lets the server wait for a shorter one."""
        sent = 0
        expected = None if self._length is None else int(self._length)
        async for piece in self._source:
            sent += len(piece)
            if expected is not None and sent > expected:
                break
            yield piece
        if expected is not None and sent != expected:
            raise httpx2.LocalProtocolError(f"Content-Length is {expected} and the body is not")

    def _watch(self) -> None:
        if self._limit is not None and not self._settled:
            self._timer = self._loop.call_later(self._limit, self._stalled)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _stalled(self) -> None:
        wire = self._sending.wire if self._sending else None
        if wire is None or (self._complete and wire.get_write_buffer_size() == 0):  # now the answer takes its time
            return
        self.error = httpx2.WriteTimeout("the server takes no more of the body")
        wire.abort()


class Answer(httpx2.AsyncByteStream):
    """Its own iterator, since one is made for each answer."""

    def __init__(self, answer: aiohttp.ClientResponse, upload: _Upload | None) -> None:
        self._answer = answer
        self._upload = upload

    def __aiter__(self) -> "Answer":
        return self

    def here(self) -> bytes | None:
        """What has come already, b"" at the end; None where it must be waited for."""
        content = self._answer.content
        if content.exception() is not None:
            return None
        piece = content.read_nowait()
        return piece if piece or content.is_eof() else None

    async def __anext__(self) -> bytes:
        try:
            piece = await self._answer.content.readany()
        except _FAILURES as error:
            raise _translated(error) from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Ends the connection where something is still to come."""
        connection = self._answer.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._answer.close()
        if self._upload is not None:
            self._upload.abandon()


def _plain(request: httpx2.Request) -> tuple[Mapping[str, str] | list[tuple[str, str]], bytes | None]:
    """Headers, and the body if it is in memory anyway and needs no watching."""
    if isinstance(request, MemoryRequest):
        return request.plain, request.body if len(request.body) <= _WRITTEN_AT_ONCE else None
    headers = [(k.decode(), v.decode()) for k, v in request.headers.raw if k.lower() != b"transfer-encoding"]
    body = b"".join(request.stream) if isinstance(request.stream, httpx2.ByteStream) else None
    return headers, body if body is not None and len(body) <= _WRITTEN_AT_ONCE else None


def _has_news(wire: asyncio.Transport) -> bool:
    """An idle connection has none, unless its end."""
    poll = select.poll()
    poll.register(wire.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))


@lru_cache(maxsize=256)
def _address(url: httpx2.URL) -> URL:
    return URL(f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}", encoded=True)


@lru_cache(maxsize=64)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read, ceil_threshold=float("inf"))


def _translated(error: Exception) -> httpx2.TransportError:
    if isinstance(error, httpx2.TransportError):
        return error
    name = next(name for kind, name in _NAMES if isinstance(error, kind))
    return name(_told(error))


def _told(error: Exception) -> str:
    """aiohttp names our inner addresses in its messages, which end in callers' answers."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no TLS with a certificate that can be verified"
    if isinstance(error, aiohttp.ClientConnectorError):
        return os.strerror(error.os_error.errno) if error.os_error.errno else "cannot connect"
    return str(error) or type(error).__name__

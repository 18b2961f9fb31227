"""HTTP/1.1 requests, read only as far as a proxy has to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

HEAD_BYTES = 64 << 10
_PIECE = 64 << 10


@dataclass(frozen=True, slots=True)
class Head:
    raw: bytes
    path: str
    length: int
    chunked: bool
    upgrade: bool

    def last(self) -> "Head":
        """The same, of the last request of its connection, after whose answer the other side closes it."""
        if self.upgrade:
            return self
        first, *lines = self.raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        return replace(self, raw=b"\r\n".join([first, *kept, b"Connection: close\r\n\r\n"]))


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """None where the client has left. Raises ValueError for what is not HTTP."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError:
        raise ValueError("a request's head is too long") from None
    lines = raw.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ValueError("not an HTTP/1.1 request")
    fields = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines[1:])
        if colon
    }
    return Head(
        raw,
        path=parts[1].partition("?")[0],
        length=int(fields.get("content-length", "0")),
        chunked="chunked" in fields.get("transfer-encoding", "").lower(),
        upgrade="upgrade" in fields.get("connection", "").lower() and "upgrade" in fields,
    )


async def body_of(head: Head, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The body as it is on the wire, chunk headers included. Raises ConnectionError when it is cut."""
    try:
        if head.chunked:
            while True:
                line = await reader.readuntil(b"\r\n")
                yield line
                size = int(line.partition(b";")[0], 16)
                if size == 0:
                    break
                async for piece in _exactly(reader, size + 2):
                    yield piece
            while line != b"\r\n":  # trailers
                line = await reader.readuntil(b"\r\n")
                yield line
        else:
            async for piece in _exactly(reader, head.length):
                yield piece
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionResetError("the client left within its request") from error


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, _PIECE))
        if not piece:
            raise ConnectionResetError("the client left within its request")
        size -= len(piece)
        yield piece

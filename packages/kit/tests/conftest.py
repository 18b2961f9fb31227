"""A server that answers as badly as a test asks it to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest


@dataclass
class Seen:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


async def _nothing_set(seen: Seen, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("set faults.answer first")


@dataclass
class FaultServer:
    answer: Answer = _nothing_set
    port: int = 0
    connections: int = 0
    seen: list[Seen] = field(default_factory=list)
    received: int = 0
    """Bytes of bodies; kept apart so that large ones need not be kept."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """A client closed a connection."""
    keep_bodies: bool = True
    readers: dict[asyncio.StreamWriter, asyncio.StreamReader] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def always(self, data: bytes) -> None:
        async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
            writer.write(data)

        self.answer = answer

    async def hang(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        """Answers nothing, and sees at once when the client leaves."""
        await self.readers[writer].read()
        raise ConnectionResetError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.readers[writer] = reader
        try:
            while not writer.is_closing():
                seen = await self._read(reader)
                self.seen.append(seen)
                self.arrived.set()
                await self.answer(seen, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        if headers.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int(await reader.readuntil(b"\r\n"), 16):
                pieces.append(self._keep(await reader.readexactly(size)))
                await reader.readuntil(b"\r\n")
            await reader.readuntil(b"\r\n")
            return Seen(head[0], headers, b"".join(pieces))
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Seen(head[0], headers, self._keep(body))

    def _keep(self, data: bytes) -> bytes:
        self.received += len(data)
        return data if self.keep_bodies else b""


@pytest.fixture
async def faults() -> AsyncIterator[FaultServer]:
    subject = FaultServer()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(subject.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    subject.port = server.sockets[0].getsockname()[1]
    yield subject
    server.close()
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result

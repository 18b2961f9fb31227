"""One client's connection through the proxy, request by request."""

import asyncio
import socket
import struct
from typing import Protocol

from chammal.faults.false_answer import false_answer
from chammal.faults.fault import Fault, FaultKind
from chammal.faults.http_request import HEAD_BYTES, Head, body_of, read_head

SLOW_SECONDS = 5.0
DRIP_SECONDS = 0.1
_PIECE = 64 << 10
_KEPT = 64 << 10
_SPOILED = frozenset({FaultKind.HANG_AFTER_HEADERS, FaultKind.DRIP, FaultKind.RESET, FaultKind.TRUNCATED})
"""These need the target's own answer."""


class Counted(Protocol):
    requests: int


class Faulty(Protocol):
    """What a connection asks of its proxy."""

    target: tuple[str, int]

    @property
    def counters(self) -> Counted: ...
    @property
    def fault(self) -> Fault | None: ...
    @property
    def changed(self) -> asyncio.Event: ...
    def meet(self) -> Fault | None: ...


class Connection:
    def __init__(self, proxy: Faulty, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._target: asyncio.StreamWriter | None = None
        self._down: asyncio.Task[None] | None = None
        self._tunnel = False

    async def run(self) -> None:
        """Until either side leaves. Raises OSError for an abrupt end, ValueError for what is not HTTP."""
        try:
            while head := await read_head(self._reader):
                self._proxy.counters.requests += 1
                if not await self._answer(head, self._proxy.meet()):
                    break
        except BaseException:
            reset(self._writer)
            raise
        finally:
            self._writer.close()
            await self._drop_target()

    def reset(self) -> None:
        reset(self._writer)
        if self._target:
            reset(self._target)

    def reset_tunnel(self) -> None:
        if self._tunnel:
            self.reset()

    async def _answer(self, head: Head, fault: Fault | None) -> bool:
        """True where another request may come on this connection."""
        if fault is None or fault.kind is FaultKind.SLOW:
            if fault:
                await self._wait(SLOW_SECONDS if fault.seconds is None else fault.seconds)
            await self._pass_on(head)
            return not head.upgrade
        await self._drop_target()
        if fault.kind in _SPOILED:
            await self._spoil(head, fault)
        elif fault.kind is FaultKind.HANG:
            await self._hang()
        else:
            await self._make_up(head, fault)
        return False

    async def _pass_on(self, head: Head) -> None:
        if self._target is None or self._down is None or self._down.done():
            await self._drop_target()
            source = await self._connect()
            self._down = asyncio.create_task(self._copy(source, self._writer))
        await self._send(head)
        if head.upgrade and self._target:
            self._tunnel = True
            await self._copy(self._reader, self._target)

    async def _connect(self) -> asyncio.StreamReader:
        source, self._target = await asyncio.open_connection(*self._proxy.target, limit=HEAD_BYTES)
        return source

    async def _send(self, head: Head) -> None:
        assert self._target  # noqa: S101
        self._target.write(head.raw)
        async for piece in body_of(head, self._reader):
            self._target.write(piece)
            await self._target.drain()
        await self._target.drain()

    async def _copy(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        """Then closes `to`, as the end of one side is the end of the other's."""
        try:
            while piece := await source.read(_PIECE):
                if self._tunnel:
                    await self._hold(piece, to)
                to.write(piece)
                await to.drain()
        except OSError:
            reset(to)
        else:
            to.close()

    async def _hold(self, piece: bytes, to: asyncio.StreamWriter) -> None:
        """An open WebSocket has no requests, so it meets a fault that can be met within it."""
        fault = self._proxy.fault
        if fault and fault.kind in (FaultKind.HANG, FaultKind.HANG_AFTER_HEADERS):
            await self._proxy.changed.wait()
        elif fault and fault.kind is FaultKind.SLOW:
            await asyncio.sleep(SLOW_SECONDS if fault.seconds is None else fault.seconds)
        elif fault and fault.kind is FaultKind.DRIP:
            await asyncio.sleep(len(piece) * (DRIP_SECONDS if fault.seconds is None else fault.seconds))

    async def _spoil(self, head: Head, fault: Fault) -> None:
        """The target's own answer, and what becomes of it."""
        source = await self._connect()
        sending = asyncio.create_task(self._send(head.last()))
        try:
            answer = await source.readuntil(b"\r\n\r\n")
            self._writer.write(answer)
            await self._writer.drain()
            if fault.kind is FaultKind.DRIP:
                await self._drip(source, DRIP_SECONDS if fault.seconds is None else fault.seconds)
                return
            if fault.kind is FaultKind.HANG_AFTER_HEADERS:
                await self._hang()
                return
            piece = await source.read(_PIECE)
            self._writer.write(piece[: len(piece) // 2])
            await self._writer.drain()
            if fault.kind is FaultKind.RESET:
                reset(self._writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionResetError("the target did not answer") from error
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _drip(self, source: asyncio.StreamReader, seconds: float) -> None:
        while piece := await source.read(_PIECE):
            for index in range(len(piece)):
                self._writer.write(piece[index : index + 1])
                await self._writer.drain()
                await asyncio.sleep(seconds)

    async def _make_up(self, head: Head, fault: Fault) -> None:
        first, last = b"", b""
        async for piece in body_of(head, self._reader):
            if len(first) < _KEPT:
                first += piece
            last = (last + piece)[-_KEPT:]
        for piece in false_answer(fault, head.path, streamed=_asks_for_events(first + last)):
            self._writer.write(piece)
            await self._writer.drain()

    async def _hang(self) -> None:
        """Until the client leaves; or it heals, and then the connection is reset."""
        gone = asyncio.create_task(self._read_away())
        healed = asyncio.create_task(self._proxy.changed.wait())
        try:
            await asyncio.wait({gone, healed}, return_when=asyncio.FIRST_COMPLETED)
            reset(self._writer)
        finally:
            for task in (gone, healed):
                task.cancel()
            await asyncio.gather(gone, healed, return_exceptions=True)

    async def _read_away(self) -> None:
        while await self._reader.read(_PIECE):
            pass

    async def _wait(self, seconds: float) -> None:
        """Raises ConnectionResetError where the client has left meanwhile, so that nothing works for it."""
        await asyncio.sleep(seconds)
        if self._writer.is_closing() or self._reader.at_eof():
            raise ConnectionResetError("the client did not wait")

    async def _drop_target(self) -> None:
        if self._target:
            reset(self._target)
            self._target = None
        if self._down:
            self._down.cancel()
            await asyncio.gather(self._down, return_exceptions=True)
            self._down = None


def _asks_for_events(body: bytes) -> bool:
    flat = b"".join(body.split())
    return b'"stream":true' in flat or b'name="stream"true' in flat


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes with RST instead of FIN."""
    if not writer.is_closing():
        connected: socket.socket = writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

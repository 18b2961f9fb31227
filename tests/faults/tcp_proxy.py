"""A proxy for what does not speak HTTP: it refuses, says nothing, is slow or breaks off."""

import asyncio
import socket
import struct
from contextlib import suppress

from chammal.faults.fault import Fault, FaultKind

KINDS = frozenset({FaultKind.REFUSE, FaultKind.HANG, FaultKind.SLOW, FaultKind.RESET})
_PIECE = 64 << 10
_MANY = 20
"""Pieces that go back and forth for what is one request of HTTP: each of them waits for so much less."""


class TcpProxy:
    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._fault: Fault | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._socket = _listening(0)
        self.port = int(self._socket.getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket)

    async def aclose(self) -> None:
        self._stop()
        self._reset()

    @property
    def fault(self) -> Fault | None:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        """Whoever hung in the one before is reset."""
        before, self._fault = self._fault, fault
        kinds = {one.kind for one in (before, fault) if one}
        if kinds - {FaultKind.SLOW}:
            self._reset()
        if FaultKind.REFUSE in kinds:
            self._stop()
        if self._server is None and not (fault and fault.kind is FaultKind.REFUSE):
            self._socket = _listening(self.port)
            self._starting = asyncio.ensure_future(self.start())

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _reset(self) -> None:
        for writer in self._writers:
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault and self._fault.kind is FaultKind.RESET:
            writer.transport.abort()
            return
        try:
            there, onward = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, onward}
        self._writers |= both
        try:
            await asyncio.gather(self._pass(reader, onward), self._pass(there, writer))
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                fault = self._fault
                if fault and fault.kind is FaultKind.HANG:
                    continue  # until it is reset
                if fault and fault.kind is FaultKind.SLOW:
                    await asyncio.sleep((fault.seconds or 0) / _MANY)
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    listener.setblocking(False)
    return listener

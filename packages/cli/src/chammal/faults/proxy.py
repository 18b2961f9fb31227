"""Passes HTTP/1.1, streams and WebSockets on untouched, until a fault is set."""

import asyncio
import random
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from chammal.faults.connection import Connection
from chammal.faults.fault import Fault, FaultKind
from chammal.faults.http_request import HEAD_BYTES

_BACKLOG = 128
_SHORTEST_BACKLOG = 1
_FILLERS = 8
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass
class Counters:
    connections: int = 0
    requests: int = 0
    faulted: int = 0
    """Requests that met a fault; with REFUSE, connections that were accepted and reset."""


class FaultProxy:
    """Between whoever connects to `listen` and the service at `target`. Port 0 takes a free one: see `port`."""

    def __init__(self, name: str, listen: tuple[str, int], target: tuple[str, int]) -> None:
        self.name = name
        self.target = target
        self.counters = Counters()
        self.port = listen[1]
        self._host = listen[0]
        self._fault: Fault | None = None
        self._changed = asyncio.Event()
        self._heals: asyncio.TimerHandle | None = None
        self._listener: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._connections: dict[Connection, asyncio.Task[None]] = {}

    async def start(self) -> None:
        self._open_or_shut(self._fault)

    async def aclose(self) -> None:
        """No task of it is left."""
        if self._heals:
            self._heals.cancel()
        listener, tasks = self._listener, list(self._connections.values())
        self._stop_listening()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *([listener] if listener else []), return_exceptions=True)
        await asyncio.sleep(0)  # asyncio closes an aborted socket in its next round

    @property
    def fault(self) -> Fault | None:
        """As it was set, with the `seconds_left` of now."""
        if self._fault is None or self._heals is None:
            return self._fault
        left = self._heals.when() - asyncio.get_running_loop().time()
        return self._fault.model_copy(update={"seconds_left": max(left, 0.001)})

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        """New connections and new requests meet it at once. Whoever hangs in the one before is reset."""
        loop = asyncio.get_running_loop()
        if self._heals:
            self._heals.cancel()
            self._heals = None
        self._fault = fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault and fault.seconds_left:
            self._heals = loop.call_later(fault.seconds_left, setattr, self, "fault", None)
        self._open_or_shut(fault)
        for connection in list(self._connections):
            if fault and fault.kind in (FaultKind.REFUSE, FaultKind.BLACK_HOLE):
                connection.reset()
            elif fault and fault.kind is FaultKind.RESET:
                connection.reset_tunnel()

    @property
    def changed(self) -> asyncio.Event:
        """Set when the fault of now is replaced or healed."""
        return self._changed

    def meet(self) -> Fault | None:
        """The fault that one request meets, by its share."""
        fault = self._fault
        if fault is None or random.random() >= fault.share:  # noqa: S311
            return None
        self.counters.faulted += 1
        return fault

    def _open_or_shut(self, fault: Fault | None) -> None:
        whole = fault is not None and fault.share == 1
        refused = whole and fault is not None and fault.kind is FaultKind.REFUSE
        swallowed = whole and fault is not None and fault.kind is FaultKind.BLACK_HOLE
        if refused or swallowed or self._fillers:
            self._stop_listening()
        if self._listener is None and not refused:
            self._listen(_SHORTEST_BACKLOG if swallowed else _BACKLOG)
        if swallowed:
            self._stop_accepting()
            self._fill_queue()

    def _fill_queue(self) -> None:
        """Once its queue is full the kernel drops whoever knocks."""
        for _ in range(_FILLERS):
            filler = socket.socket(_family(self._host), socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex((_LOOPBACK.get(self._host, self._host), self.port))
            self._fillers.append(filler)

    def _listen(self, backlog: int = _BACKLOG) -> None:
        listener = socket.socket(_family(self._host), socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind((self._host, self.port))
            listener.listen(backlog)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._socket = listener
        self._listener = asyncio.get_running_loop().create_task(self._accept(listener))

    def _stop_accepting(self) -> None:
        if self._listener:
            self._listener.cancel()
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)

    def _stop_listening(self) -> None:
        self._stop_accepting()
        self._listener = None
        for each in (*self._fillers, *([self._socket] if self._socket else ())):
            each.close()
        self._fillers.clear()
        self._socket = None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(listener)
            self.counters.connections += 1
            reader, writer = await asyncio.open_connection(sock=accepted, limit=HEAD_BYTES)
            connection = Connection(self, reader, writer)
            if self._fault and self._fault.kind is FaultKind.REFUSE and self.meet():
                connection.reset()
                continue
            task = loop.create_task(self._serve(connection))
            self._connections[connection] = task
            task.add_done_callback(partial(self._left, connection))

    def _left(self, connection: Connection, _: asyncio.Task[None]) -> None:
        del self._connections[connection]

    async def _serve(self, connection: Connection) -> None:
        with suppress(OSError, ValueError):  # either side left, or spoke something else than HTTP
            await connection.run()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

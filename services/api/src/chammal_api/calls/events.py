"""Server-sent events: that something of a call has changed.

Writes of this process wake the streams at once; those of another are found by a look at the store, twice a second at
most. A stream sends the newest state and never a queue of old ones, so a slow reader costs no memory.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from chammal_api.calls.records import Change
from chammal_contracts.calls import CallEvent, CallStatus, HealingState
from chammal_contracts.errors import ErrorCode
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem

MEDIA_TYPE = "text/event-stream"
LOOK_SECONDS = 0.5
GATHER_SECONDS = 0.1
"""What is written in this time after a first change comes with it."""
HEARTBEAT_SECONDS = 15.0
"""A proxy that hears nothing for a minute takes a connection for dead."""
MAX_STREAMS = 256
PAGE = 200
log = component_logger("Calls")
HEARTBEAT = b": \n\n"
_RUNNING = frozenset({CallStatus.QUEUED, CallStatus.RUNNING})
_HEALS = frozenset({HealingState.WAITING, HealingState.RUNNING})


class Changes(Protocol):
    """Of the store."""

    async def changed(self, call_id: str) -> int: ...
    async def event(self, call_id: str) -> CallEvent | None: ...
    async def last_change(self) -> int: ...
    async def changes(self, after: int, limit: int) -> Sequence[Change]: ...


def has_ended(event: CallEvent) -> bool:
    """Nothing more comes by itself. A call that waits to heal has not ended."""
    return event.status not in _RUNNING and event.healing not in _HEALS


class CallNews:
    """Who listens, in this process."""

    def __init__(self, changes: Changes, leaving: Callable[[], bool] = lambda: False) -> None:
        """`leaving`: whether the process shuts down, which ends every stream."""
        self._changes = changes
        self._leaving = leaving
        self._listening: set[asyncio.Event] = set()

    @property
    def streams(self) -> int:
        return len(self._listening)

    def notify(self) -> None:
        """This process has just written something."""
        for woken in self._listening:
            woken.set()

    def check_room(self) -> None:
        """Raises Problem 503."""
        if self.streams >= MAX_STREAMS:
            detail = f"{MAX_STREAMS} clients listen for events already. Ask GET /v1/calls/{{id}} now and then."
            raise Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": "10"})

    async def of_call(self, call_id: str, after: int) -> AsyncIterator[bytes]:
        """Its state now, unless its last change is number `after`, and at every change. Ends with the call."""
        with self._listen() as listener:
            while not self._leaving():
                number = await self._changes.changed(call_id)
                event = await self._changes.event(call_id) if number != after else None
                if number != after and event is None:
                    yield _written(number, "deleted", f'{{"id":"{call_id}"}}')
                    return
                if event is not None:
                    after = number
                    yield listener.says(_written(number, "call", event.model_dump_json()))
                    if has_ended(event):
                        return
                elif listener.silent:
                    yield listener.says(HEARTBEAT)
                await listener.wait()

    async def of_all(self, after: int) -> AsyncIterator[bytes]:
        """Every change with a number above `after`; of several of one call the last. Ends with the process."""
        with self._listen() as listener:
            while not self._leaving():
                found = await self._changes.changes(after, PAGE)
                for change in found:
                    after = change.number
                    yield listener.says(_written(after, "call", change.event.model_dump_json()))
                if not found and listener.silent:
                    yield listener.says(HEARTBEAT)
                if len(found) < PAGE:
                    await listener.wait()

    @contextmanager
    def _listen(self) -> Iterator["_Listener"]:
        """Where the database does not answer, the stream ends: its reader connects again, and goes on where it was."""
        woken = asyncio.Event()
        self._listening.add(woken)
        try:
            yield _Listener(woken)
        except SQLAlchemyError as error:
            log.warning("a stream of events ends: %s", type(error).__name__)
        finally:
            self._listening.discard(woken)


class _Listener:
    def __init__(self, woken: asyncio.Event) -> None:
        self._woken = woken
        self._spoke = asyncio.get_running_loop().time()

    @property
    def silent(self) -> bool:
        return asyncio.get_running_loop().time() - self._spoke >= HEARTBEAT_SECONDS

    def says(self, words: bytes) -> bytes:
        self._spoke = asyncio.get_running_loop().time()
        return words

    async def wait(self) -> None:
        """For a write of this process, or for the time to look for those of others."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
        await asyncio.sleep(GATHER_SECONDS)


def read_last_event_id(told: str | None) -> int | None:
    """What is no number of ours is ignored, as a browser cannot mend it."""
    return int(told) if told and told.isascii() and told.isdigit() and len(told) < 19 else None


def _written(number: int, name: str, data: str) -> bytes:
    """JSON has no line breaks of its own, so that one line holds it."""
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode()

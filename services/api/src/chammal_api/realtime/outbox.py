"""Events on their way to a client that may not read them."""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable

from chammal_contracts.realtime import OutputAudioDelta, ServerEvent, TranscriptionDelta

_CROWDED_BYTES = 1 << 20
"""20 s of speech at 24 kHz in base64. Whoever makes more waits until some has gone."""
_CROWDED_EVENTS = 1024
"""Of any kind: then nothing is read that would have to be answered."""
_EVENT_BYTES = 500
"""About what an event takes beside its audio."""


class ClientTooSlow(Exception):
    """It has not read for as long as it may."""


class Outbox:
    """`send` is given one event as JSON; `seconds` is how long that may take."""

    def __init__(self, send: Callable[[str], Awaitable[None]], seconds: float) -> None:
        self._send = send
        self._seconds = seconds
        self._events: deque[ServerEvent] = deque()
        self._bytes = 0
        self._stirred = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._gone = asyncio.Event()
        self._closed = False

    @property
    def crowded(self) -> bool:
        return self._bytes >= _CROWDED_BYTES

    def put(self, event: ServerEvent) -> None:
        """For what is small and must not wait."""
        last = self._events[-1] if self._events else None
        if _takes_the_place_of(event, last):
            self._bytes -= _size(self._events.pop())
        self._events.append(event)
        self._changed(_size(event))
        self._stirred.set()

    async def send(self, event: ServerEvent) -> None:
        """For what comes by the megabyte: waits for room."""
        await self.room()
        self.put(event)

    async def room(self) -> None:
        while not self._closed and self.crowded:
            await self._room.wait()

    async def room_for_answers(self) -> None:
        while not self._closed and len(self._events) >= _CROWDED_EVENTS:
            self._gone.clear()
            await self._gone.wait()

    def drop_audio(self) -> None:
        """Nobody wants to hear what has not gone yet."""
        kept = [event for event in self._events if not isinstance(event, OutputAudioDelta)]
        self._events = deque(kept)
        self._changed(sum(map(_size, kept)) - self._bytes)

    def close(self) -> None:
        """`run` returns once all has gone."""
        self._closed = True
        self._stirred.set()
        self._room.set()
        self._gone.set()

    async def run(self) -> None:
        """Raises ClientTooSlow, and what `send` raises."""
        while True:
            while self._events:
                event = self._events.popleft()
                self._changed(-_size(event))
                self._gone.set()
                await self._send_one(event)
            if self._closed:
                return
            self._stirred.clear()
            await self._stirred.wait()

    async def _send_one(self, event: ServerEvent) -> None:
        event.event_id = f"event_{secrets.token_hex(10)}"
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(event.model_dump_json())
        except TimeoutError:
            raise ClientTooSlow from None

    def _changed(self, count: int) -> None:
        self._bytes += count
        if self.crowded:
            self._room.clear()
        else:
            self._room.set()


def _size(event: ServerEvent) -> int:
    return _EVENT_BYTES + (len(event.delta) if isinstance(event, OutputAudioDelta) else 0)


def _takes_the_place_of(event: ServerEvent, last: ServerEvent | None) -> bool:
    """Of two that settle nothing the newer says it all."""
    return (
        isinstance(event, TranscriptionDelta)
        and isinstance(last, TranscriptionDelta)
        and last.item_id == event.item_id
        and not last.delta
    )

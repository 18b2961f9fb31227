"""Events on their way to a client that may not read them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from chammal_contracts.live import Partial, ServerEvent

_CROWDED = 32


class ClientTooSlow(Exception):
    """It has not read for as long as it may."""


class Outbox:
    """`seconds` is how long one event may take to go."""

    def __init__(self, send: Callable[[str], Awaitable[None]], seconds: float, on_room: Callable[[], None]) -> None:
        self._send = send
        self._seconds = seconds
        self._on_room = on_room
        self._events: deque[ServerEvent] = deque()
        self._woken = asyncio.Event()
        self._closed = False

    @property
    def crowded(self) -> bool:
        """Whoever adds events waits while it is."""
        return len(self._events) >= _CROWDED

    def put(self, event: ServerEvent) -> bool:
        """Whether it took the place of an older partial of the same utterance, which never goes."""
        self._woken.set()
        last = self._events[-1] if self._events else None
        if isinstance(event, Partial) and isinstance(last, Partial) and last.utterance == event.utterance:
            self._events[-1] = event
            return True
        self._events.append(event)
        return False

    def close(self) -> None:
        """`run` returns once all has gone."""
        self._closed = True
        self._woken.set()

    async def run(self) -> None:
        """Raises ClientTooSlow, and what `send` raises."""
        while True:
            while self._events:
                await self._send_one(self._events.popleft())
            if self._closed:
                return
            self._woken.clear()
            await self._woken.wait()

    async def _send_one(self, event: ServerEvent) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(event.model_dump_json())
        except TimeoutError:
            raise ClientTooSlow from None
        self._on_room()

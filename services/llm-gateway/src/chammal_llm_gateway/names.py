"""Which model a name in a request means at one backend."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Set

Clock = Callable[[], float]


class ModelNames:
    """The names that one backend knows, asked for once and remembered."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[list[str]]],
        *,
        own: str | None,
        aliases: Set[str],
        believed_seconds: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self._ask = ask
        self._own = own
        self._aliases = aliases
        self._believed_seconds = believed_seconds
        self._clock = clock
        self._listed: list[str] = []
        self._listed_at = 0.0
        self._asking = asyncio.Lock()

    async def resolve(self, requested: str) -> str | None:
        """The model id to send, or None where this backend does not know `requested`.

        Raises what asking the backend raises.
        """
        if requested in self._aliases:
            return self._own or (self._listed or await self.listed())[0]
        if requested == self._own or requested in self._listed:
            return requested
        return requested if requested in await self.listed() else None

    async def listed(self) -> list[str]:
        """The ids that the backend lists, at least one, from memory while they are young enough to be believed."""
        async with self._asking:
            if not self._listed or self._clock() - self._listed_at >= self._believed_seconds:
                self._listed = await self._ask()
                self._listed_at = self._clock()
        return self._listed

    def forget(self) -> None:
        """The backend said 404: what it listed no longer holds."""
        self._listed = []

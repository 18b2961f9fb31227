"""Which model a name in a request means at one backend."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Set

from chammal_contracts.stages import FailureType
from chammal_kit.deadline import current_deadline, set_deadline
from chammal_kit.upstream_errors import Evidence, UpstreamError

Clock = Callable[[], float]


class ModelNames:
    """The names that one backend knows, asked for once, for all who wait for them, and remembered."""

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
        self._asking: asyncio.Task[list[str]] | None = None
        self._waiting = 0

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
        if not self._listed or self._clock() - self._listed_at >= self._believed_seconds:
            return await self._renewed()
        return self._listed

    async def _renewed(self) -> list[str]:
        """One question for all; it ends with the last who waits, and nobody waits longer than its caller."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._renew())
        asking = self._asking
        deadline = current_deadline()
        self._waiting += 1
        try:
            async with asyncio.timeout(None if deadline is None else deadline.remaining()):
                return await asyncio.shield(asking)
        except TimeoutError:
            detail = "no list of models before the deadline"
            raise UpstreamError("names", FailureType.DEADLINE_EXCEEDED, detail, evidence=Evidence.NONE) from None
        finally:
            self._waiting -= 1
            if not self._waiting:
                asking.cancel()
                self._asking = None

    async def _renew(self) -> list[str]:
        set_deadline(None)  # of whoever happened to come first
        listed = self._listed = await self._ask()
        self._listed_at = self._clock()
        return listed

    def forget(self) -> None:
        """The backend said 404: what it listed no longer holds."""
        self._listed = []

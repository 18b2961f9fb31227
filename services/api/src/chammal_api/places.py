"""How many sessions of one kind may be open at once."""

import asyncio

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

RETRY_SECONDS = 10


class Places:
    def __init__(self, kind: str, most: int) -> None:
        self.taken = 0
        self.shut = False
        """The service leaves: nobody gets in any more."""
        self._kind = kind
        self._most = most
        self._nobody = asyncio.Event()
        self._nobody.set()

    def enter(self) -> None:
        """Takes a place; `leave` gives it back. Raises Problem when there is none."""
        if self.shut:
            raise Problem(503, ErrorCode.SERVER_SHUTTING_DOWN, "The service is shutting down.")
        if self.taken >= self._most:
            detail = f"All {self._most} {self._kind} are taken. Try again a little later."
            raise Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": str(RETRY_SECONDS)})
        self.taken += 1
        self._nobody.clear()

    def leave(self) -> None:
        self.taken -= 1
        if not self.taken:
            self._nobody.set()

    async def until_empty(self) -> None:
        await self._nobody.wait()

"""All conversations of this process."""

import asyncio

from chammal_api.realtime.metrics import SESSIONS
from chammal_api.realtime.session import Ending, Needs, RealtimeSession, Wire
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem


class RealtimeSessions:
    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._most = needs.settings.realtime_sessions
        self._open: set[RealtimeSession] = set()
        self._places_taken = 0
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._draining = False
        SESSIONS.set_function(lambda: self._places_taken)

    def enter(self) -> None:
        """Takes a place; `leave` gives it back. Raises Problem when there is none."""
        if self._draining:
            raise Problem(503, ErrorCode.SERVER_SHUTTING_DOWN, "The service is shutting down.")
        if self._places_taken >= self._most:
            detail = f"All {self._most} conversations are taken. Try again a little later."
            raise Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": "10"})
        self._places_taken += 1
        self._nobody.clear()

    def leave(self) -> None:
        self._places_taken -= 1
        if not self._places_taken:
            self._nobody.set()

    async def run(self, wire: Wire, model: str | None) -> Ending:
        session = RealtimeSession(wire, self._needs, model)
        self._open.add(session)
        if self._draining:
            session.shut_down()
        try:
            return await session.run()
        finally:
            self._open.discard(session)

    async def drain(self) -> None:
        """Ends every conversation after the answer that is being given."""
        self._draining = True
        for session in tuple(self._open):
            session.shut_down()
        await self._nobody.wait()

"""All conversations of this process."""

from chammal_api.places import Places
from chammal_api.realtime.metrics import SESSIONS
from chammal_api.realtime.session import Ending, Needs, RealtimeSession, Wire


class RealtimeSessions(Places):
    def __init__(self, needs: Needs) -> None:
        super().__init__("conversations", needs.settings.realtime_sessions)
        self._needs = needs
        self._open: set[RealtimeSession] = set()
        SESSIONS.set_function(lambda: self.taken)

    async def run(self, wire: Wire, model: str | None) -> Ending:
        session = RealtimeSession(wire, self._needs, model)
        self._open.add(session)
        if self.shut:
            session.shut_down()
        try:
            return await session.run()
        finally:
            self._open.discard(session)

    async def drain(self) -> None:
        """Ends every conversation after the answer that is being given."""
        self.shut = True
        for session in tuple(self._open):
            session.shut_down()
        await self.until_empty()

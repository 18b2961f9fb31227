"""What the doors of calls need of those behind them, made once in the lifespan."""

from dataclasses import dataclass
from typing import Protocol

from chammal_api.calls.backlog import Backlog
from chammal_api.calls.events import CallNews
from chammal_api.calls.intake import Allowed
from chammal_api.calls.recordings import Recordings
from chammal_api.calls.store import CallStore
from chammal_api.clients.allowed import AllowedUpstreams
from chammal_contracts.calls import Priority


class Flow(Protocol):
    async def submit(self, call_id: str, run: int, priority: Priority) -> None: ...
    async def cancel(self, call_id: str) -> None: ...


@dataclass(frozen=True)
class CallDesk:
    store: CallStore
    recordings: Recordings
    flow: Flow
    backlog: Backlog
    stores: AllowedUpstreams
    """Where `file_url` may lead."""
    allowed: Allowed
    news: CallNews

"""What lives as long as the process, made once in the lifespan."""

from typing import TypedDict, cast

from starlette.requests import Request

from chammal_api.calls.desk import CallDesk
from chammal_api.check.check import Checker
from chammal_api.clients.agents import Agents
from chammal_api.live import LiveSessions
from chammal_api.pipeline import Pipeline
from chammal_api.readiness import Dependencies
from chammal_api.realtime.sessions import RealtimeSessions
from chammal_api.settings import ApiSettings
from chammal_api.tally import Tally
from chammal_kit.upstream import Upstream


class State(TypedDict):
    settings: ApiSettings
    stt: Upstream
    llm: Upstream
    tts: Upstream
    agents: Agents
    pipeline: Pipeline
    dependencies: Dependencies
    tally: Tally
    live: LiveSessions
    conversations: RealtimeSessions
    checker: Checker
    desk: CallDesk


def state_of(request: Request) -> State:
    return cast(State, request.scope["state"])

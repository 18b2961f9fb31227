"""`/ready` and `GET /v1/failures`."""

import asyncio

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from chammal_api.calls.backlog import Backlog
from chammal_api.check.rule_shelf import RuleShelf
from chammal_api.readiness import PROBE_TIMEOUTS
from chammal_api.state import state_of
from chammal_contracts.failures import FailureReport
from chammal_contracts.health import Check, Readiness
from chammal_contracts.stages import Stage
from chammal_kit.door import OPERATORS, Door
from chammal_kit.problems import Problem

router = APIRouter(tags=["operations"])


@router.get("/ready", responses={503: {"model": Readiness}})
async def get_ready(request: Request, response: Response) -> Readiness:
    """The state of each service behind this one; 503 only when none of them can answer.

    Without a key of the scope `operations`, where keys are set: whether, and not why.
    """
    readiness = await state_of(request)["dependencies"].check()
    response.status_code = 200 if readiness.ready else 503
    door: Door = request.app.state.door
    if not door.may(request.scope, OPERATORS):
        return Readiness(ready=readiness.ready)
    state = state_of(request)
    failing = [_broken_keys(door), _broken_rules(state["checker"].shelf), await _broken_calls(state["desk"].backlog)]
    return _with(readiness, [check for check in failing if check is not None])


async def _broken_calls(backlog: Backlog) -> Check | None:
    try:
        async with asyncio.timeout(PROBE_TIMEOUTS.total):
            await backlog.counts()
    except (SQLAlchemyError, Problem, TimeoutError) as error:
        reason = error.detail if isinstance(error, Problem) else f"the database does not answer: {type(error).__name__}"
        hint = "Recorded calls are refused and wait until it is back; everything else goes on."
        return Check(name="calls", ready=False, reason=reason, hint=hint)
    return None


def _broken_keys(door: Door) -> Check | None:
    if door.keys is None:
        return None
    door.keys.refresh()
    if door.keys.problem is None:
        return None
    hint = "The keys from before stay valid. chammal keys check FILE names the line."
    return Check(name="keys", ready=False, reason=door.keys.problem, hint=hint)


def _broken_rules(shelf: RuleShelf) -> Check | None:
    if not shelf.problems:
        return None
    hint = "The rules from before stay in force. GET /v1/rules lists them."
    return Check(name="rules", ready=False, reason="; ".join(shelf.problems), hint=hint)


def _with(readiness: Readiness, failing: list[Check]) -> Readiness:
    return Readiness(
        ready=readiness.ready,
        degraded=[*readiness.degraded, *(check.name for check in failing)],
        checks=[*readiness.checks, *failing],
    )


@router.get("/v1/failures")
async def get_failures(request: Request) -> FailureReport:
    """Per stage: how many were tried, how many brought nothing, and the breaker in front of it."""
    state = state_of(request)
    breakers = {
        Stage.STT: state["stt"].breaker.state,
        Stage.ANALYSIS: state["llm"].breaker.state,
        Stage.TTS: state["tts"].breaker.state,
        Stage.SUMMARY: state["llm"].breaker.state,
    }
    return state["tally"].report(breakers, state["settings"].environment)

"""`POST /transcribe`: the main job."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from chammal_api.check.rule_shelf import RuleSetUnknown, RuleShelf
from chammal_api.check.rules import RuleSet
from chammal_api.clients.failure import stage_problem
from chammal_api.elements import elements_of
from chammal_api.intake import MAX_HOTWORDS, read_call
from chammal_api.result import build_result, degraded_header
from chammal_api.state import state_of
from chammal_api.tally import ANSWERS, AnswerOutcome, outcome_of
from chammal_contracts import headers as wire
from chammal_contracts.asr import Channels
from chammal_contracts.errors import ProblemBody
from chammal_contracts.transcribe import AgentRequestFormat, OnFailure, TranscribeResult
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem

log = component_logger("Transcribe")
router = APIRouter(tags=["calls"])

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The recording."},
                        "file_path": {
                            "type": "string",
                            "description": "Instead: a path below the audio root.",
                        },
                        "language": {"type": "string", "description": "`ko`, `en`, … or `auto`."},
                        "channels": {
                            "type": "string",
                            "enum": list(Channels),
                            "default": Channels.MIX,
                            "description": "`split` when each channel is one speaker's.",
                        },
                        "hotwords": {
                            "type": "string",
                            "maxLength": MAX_HOTWORDS,
                            "description": "Names and terms that are likely to be said.",
                        },
                        "normalise": {
                            "type": "boolean",
                            "default": False,
                            "description": "Write spoken numbers, dates and sums of money in digits.",
                        },
                        "incomplete_elements_check": {"type": "boolean", "default": False},
                        "agent_url": {"type": "string", "description": "An agent on the allow-list."},
                        "agent_request_format": {"type": "string", "enum": list(AgentRequestFormat)},
                        "on_failure": {"type": "string", "enum": list(OnFailure), "default": OnFailure.DUMMY},
                    },
                }
            }
        },
    }
}


@router.post(
    "/transcribe",
    openapi_extra=_FORM,
    response_model=TranscribeResult,
    responses={"4XX": {"model": ProblemBody}, "5XX": {"model": ProblemBody}},
)
async def transcribe(request: Request) -> Response:
    """Transcript, check and summary of one recorded call; every stage says whether it worked, and why not."""
    state = state_of(request)
    rules = _in_force(state["checker"].shelf)
    try:
        async with read_call(request, state["settings"], state["agents"]) as call:
            heard, judged = await unless_disconnected(request.receive, state["pipeline"].run(call, rules))
    except Problem:
        ANSWERS.labels(AnswerOutcome.REJECTED).inc()
        raise
    elements = elements_of(rules) if rules else []
    result = build_result(heard, judged, elements if call.check_elements else None)
    outcome = outcome_of(result.stages)
    state["tally"].count(result.stages)
    log.info("%s: %s", outcome, ", ".join(f"{s.stage}={s.status} ({s.seconds:.2f} s)" for s in result.stages))
    if call.on_failure is OnFailure.ERROR and (heard.failed or judged.failed):
        ANSWERS.labels(AnswerOutcome.ERROR).inc()
        raise stage_problem(heard if heard.failed else judged, result.stages)
    ANSWERS.labels(outcome).inc()
    degraded = degraded_header(result.stages)
    return Response(
        result.model_dump_json(),
        media_type="application/json",
        headers={wire.DEGRADED: degraded} if degraded else None,
    )


def _in_force(shelf: RuleShelf) -> RuleSet | None:
    try:
        return shelf.get()
    except RuleSetUnknown:
        return None

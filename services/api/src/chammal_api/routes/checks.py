"""`POST /v1/checks`: the check alone, on a transcript that the caller has; `GET /v1/rules`: what it checks by."""

from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from chammal_api.calls.masking import mask_utterances
from chammal_api.check.rule_shelf import RuleSetUnknown
from chammal_api.check.rules import RuleSet
from chammal_api.state import state_of
from chammal_contracts import headers as wire
from chammal_contracts.checks import (
    CallChannel,
    CheckRequest,
    CheckResult,
    CustomerType,
    ElementMode,
    Polarity,
    ProductType,
    Severity,
)
from chammal_contracts.errors import ErrorCode, ProblemBody
from chammal_contracts.stages import StageStatus
from chammal_kit.body_limit import read_body
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.logs import component_logger
from chammal_kit.openapi import inlined
from chammal_kit.problems import Problem

log = component_logger("Checks")
router = APIRouter(prefix="/v1", tags=["checks"])

_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": inlined(CheckRequest)}}}
}


class ElementInfo(BaseModel):
    """What is checked, without the words that it is found by."""

    id: str
    name: str
    name_en: str
    article: str
    products: list[ProductType]
    channels: list[CallChannel]
    customers: list[CustomerType]
    mode: ElementMode
    polarity: Polarity
    severity: Severity
    needs_legal_review: bool
    parts: list[str]


class RuleSetInfo(BaseModel):
    name: str
    version: str
    title: str
    title_en: str
    source: str
    elements: list[ElementInfo]


class RulesInForce(BaseModel):
    default: str
    rule_sets: list[RuleSetInfo]
    problems: list[str]
    """Files that are broken; what they held before stays in force."""


@router.post(
    "/checks",
    openapi_extra=_BODY,
    response_model=CheckResult,
    responses={"4XX": {"model": ProblemBody}, "5XX": {"model": ProblemBody}},
)
async def check(request: Request) -> Response:
    """A verdict with its evidence for every element. Without an answer of the model: what rules alone found."""
    state = state_of(request)
    wanted = _read(await read_body(request, state["settings"].max_json_bytes))
    checker = state["checker"]
    try:
        checker.shelf.get(wanted.rule_set)
    except RuleSetUnknown as unknown:
        raise Problem(422, ErrorCode.RULE_SET_UNKNOWN, str(unknown)) from None
    if state["settings"].mask:
        utterances, _ = await to_thread.run_sync(mask_utterances, wanted.utterances)
        wanted = wanted.model_copy(update={"utterances": utterances})
    judged = await unless_disconnected(request.receive, checker.check(wanted))
    report = judged.report
    if judged.value is None:
        raise Problem(422, ErrorCode.RULE_SET_UNKNOWN, report.error or "There is no such rule set.")
    totals = judged.value.totals
    log.info(
        "%s: %d utterances, %d suspected, %d unmet, %d not evaluated",
        judged.value.status,
        len(wanted.utterances),
        totals.suspected,
        totals.unmet,
        totals.not_evaluated,
    )
    degraded = report.status in (StageStatus.DEGRADED, StageStatus.DUMMY)
    return Response(
        judged.value.model_dump_json(),
        media_type="application/json",
        headers={wire.DEGRADED: f"{report.stage}={report.status}"} if degraded else None,
    )


@router.get("/rules")
async def rules(request: Request) -> RulesInForce:
    """The rule sets in force; the first is the one that is used when none is named."""
    shelf = state_of(request)["checker"].shelf
    return RulesInForce(default=shelf.default, rule_sets=[_told(one) for one in shelf.all()], problems=shelf.problems)


def _read(body: bytes) -> CheckRequest:
    try:
        return CheckRequest.model_validate_json(body)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([row | {"loc": ("body", *row["loc"])} for row in wrong[:20]]) from None


def _told(rules: RuleSet) -> RuleSetInfo:
    return RuleSetInfo(
        name=rules.name,
        version=rules.version,
        title=rules.title.ko,
        title_en=rules.title.en,
        source=rules.source,
        elements=[
            ElementInfo(
                id=element.id,
                name=element.name.ko,
                name_en=element.name.en,
                article=element.article,
                products=sorted(element.when.products),
                channels=sorted(element.when.channels),
                customers=sorted(element.when.customers),
                mode=element.mode,
                polarity=element.polarity,
                severity=element.severity,
                needs_legal_review=element.needs_legal_review,
                parts=[part.name.ko for part in element.parts],
            )
            for element in rules.elements
        ],
    )

"""The fault matrix as typed data: which cells there are, and what must come of each."""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from chammal.faults.fault import Fault
from chammal_api.calls.webhooks import DeliveryOutcome
from chammal_contracts.calls import CallStatus
from chammal_contracts.checks import CheckStatus
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import BreakerState, FailureType, Stage, StageStatus

SOURCE = Path(__file__).parent / "matrix.yaml"

OfFault = Literal["of_fault"]
OfUpstream = Literal["of_upstream"]


class Endpoint(StrEnum):
    TRANSCRIBE = "transcribe"
    TRANSCRIBE_OR_ERROR = "transcribe_or_error"
    TRANSCRIPTIONS = "transcriptions"
    TRANSCRIPTIONS_STREAM = "transcriptions_stream"
    SPEECH = "speech"
    CHAT = "chat"
    CHAT_STREAM = "chat_stream"
    MODELS = "models"
    LIVE = "live"
    REALTIME = "realtime"
    """One turn of a conversation."""
    READY = "ready"
    FAILURES = "failures"
    HEALTH = "health"
    CALL = "call"
    """Sent, and followed until it has ended."""
    CALLS = "calls"
    CALL_READ = "call_read"
    CALL_EVENTS = "call_events"
    CALL_TRANSCRIPT = "call_transcript"
    CALL_AUDIO = "call_audio"
    CALL_REPORT = "call_report"
    CALL_REANALYSE = "call_reanalyse"
    CALL_DELETE = "call_delete"
    CHECKS = "checks"
    RULES = "rules"
    PAGE = "page"
    GATEWAY_CHAT = "gateway_chat"
    GATEWAY_STREAM = "gateway_stream"
    GATEWAY_JSON = "gateway_json"
    GATEWAY_MODELS = "gateway_models"
    GATEWAY_READY = "gateway_ready"

    @property
    def at_gateway(self) -> bool:
        return self.name.startswith("GATEWAY_")


class Flag(StrEnum):
    SUCCESS = "success"
    IS_DUMMY = "is_dummy"
    IS_AGENT_DUMMY = "is_agent_dummy"
    IS_PARTIAL_FAILURE = "is_partial_failure"


class By(StrEnum):
    PROXY = "proxy"
    ADDRESS = "address"
    PROCESS = "process"
    FILES = "files"
    STATE = "state"
    """The upstream runs, and is brought into a state."""


Statuses = Annotated[list[int], BeforeValidator(lambda value: [value] if isinstance(value, int) else value)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FaultRow(Strict):
    says: str
    by: By
    fault: Fault | None = None
    harmless: bool = False
    """Everything goes on as if nothing were wrong."""
    failure: list[FailureType] = []
    status: Statuses = []
    """Of an answer that cannot be given because of it."""
    retry_after: int | None = None
    """What the upstream asks for, which the caller must be told."""
    breaker: BreakerState = BreakerState.OPEN
    within: float = 6.0
    """Seconds in which every endpoint has answered."""

    @model_validator(mode="after")
    def _whole(self) -> "FaultRow":
        if (self.by is By.PROXY) != (self.fault is not None):
            raise ValueError("exactly the faults of a proxy name what it does")
        if not self.harmless and not (self.failure and self.status):
            raise ValueError("a fault that harms names its failure and its status")
        return self


class Expected(Strict):
    """All that is checked of one cell. What is left out must be absent: a header, a flag, an event."""

    status: Statuses | OfFault
    stages: dict[Stage, StageStatus] | None = None
    flags: list[Flag] | None = None
    """Those that are true; the others are false."""
    names_failure: Stage | None = None
    """Its `error_type` is one of the fault's."""
    names_attempt: Stage | None = None
    """One of its attempts failed as the fault says."""
    degraded: str | None = None
    code: ErrorCode | None = None
    retry_after: bool | OfFault = False
    call: CallStatus | None = None
    """How the analysis of a recorded call ends. Its reports are `stages`."""
    check: CheckStatus | None = None
    heals: bool = False
    """It waits for what it lacks, or for whoever is to be told, and gets it when the fault has gone."""
    told: DeliveryOutcome | None = None
    """What became of the first webhook."""
    within: float | None = None
    """Seconds, where they are not the fault's."""
    attempts: str | None = None
    """A pattern for Chammal-Attempts: @ is the upstream, # its failure."""
    cut: bool = False
    """What has begun may be cut, where the caller can see that."""
    or_fine: bool = False
    """Or it is a whole answer, without any sign of the fault."""
    event: ErrorCode | None = None
    not_ready: OfUpstream | None = None
    counts: OfUpstream | None = None
    breaker: BreakerState | OfFault | None = None
    log: str | None = None
    """In a line with this request's id."""
    log_any: str | None = None
    metric: str | None = None
    """A series that must have grown; `of_fault` is the upstream's request counter with the failure."""


class UpstreamRow(Strict):
    observer: Literal["api", "llm-gateway"]
    """Whose breaker stands before it."""
    stage: Stage | None = None
    service: str | None = None
    """Its name at /ready, where that is another than its own here."""
    last: bool = False
    only: list[Endpoint] = []
    """Those that it can matter to; else all that its observer has."""
    expect: dict[Endpoint, Expected]


class NotApplicable(Strict):
    upstreams: list[str]
    faults: list[str]
    because: str


class Exceptional(Strict):
    because: str
    upstreams: list[str]
    faults: list[str]
    endpoints: list[Endpoint]
    expect: dict[str, Any]


class Matrix(Strict):
    faults: dict[str, FaultRow]
    outcomes: dict[str, Expected]
    upstreams: dict[str, UpstreamRow]
    not_applicable: list[NotApplicable]
    exceptions: list[Exceptional]

    @model_validator(mode="before")
    @classmethod
    def _name_outcomes(cls, raw: dict[str, Any]) -> dict[str, Any]:
        outcomes = raw["outcomes"]
        for row in raw["upstreams"].values():
            row["expect"] = {name: outcomes[e] if isinstance(e, str) else e for name, e in row["expect"].items()}
        for row in raw["exceptions"]:
            if "outcome" in row:
                row["expect"] = Expected(status=[]).model_dump() | outcomes[row.pop("outcome")]
        return raw

    def applies(self, upstream: str, fault: str) -> bool:
        return not any(upstream in row.upstreams and fault in row.faults for row in self.not_applicable)


class Cell(Strict):
    upstream: str
    fault_name: str
    endpoint: Endpoint
    fault: FaultRow
    row: UpstreamRow
    expected: Expected

    def __str__(self) -> str:
        return f"{self.upstream} x {self.fault_name} x {self.endpoint}"

    @property
    def statuses(self) -> list[int]:
        return self.fault.status if self.expected.status == "of_fault" else self.expected.status

    @property
    def within(self) -> float:
        return self.expected.within or self.fault.within

    @property
    def breaker(self) -> BreakerState | None:
        return self.fault.breaker if self.expected.breaker == "of_fault" else self.expected.breaker


@cache
def load() -> Matrix:
    return Matrix.model_validate(yaml.safe_load(SOURCE.read_text(encoding="utf-8")))


def cells(matrix: Matrix) -> Iterator[Cell]:
    """In an order that keeps cells of one upstream and fault together. Raises KeyError for one without a rule."""
    for upstream, row in matrix.upstreams.items():
        for fault_name, fault in matrix.faults.items():
            if not matrix.applies(upstream, fault_name):
                continue
            for endpoint in endpoints_of(row):
                expected = _expected(matrix, upstream, row, fault_name, fault, endpoint)
                yield Cell(
                    upstream=upstream,
                    fault_name=fault_name,
                    endpoint=endpoint,
                    fault=fault,
                    row=row,
                    expected=expected,
                )


def endpoints_of(row: UpstreamRow) -> list[Endpoint]:
    """The gateway's own are met by faults of what stands behind it, and stored calls are not."""
    if row.only:
        return row.only
    if row.observer == "llm-gateway":
        return [endpoint for endpoint in Endpoint if endpoint not in STORED]
    return [endpoint for endpoint in Endpoint if not endpoint.at_gateway]


STORED = (
    Endpoint.CALLS, Endpoint.CALL_READ, Endpoint.CALL_EVENTS, Endpoint.CALL_TRANSCRIPT, Endpoint.CALL_AUDIO,
    Endpoint.CALL_REPORT, Endpoint.CALL_REANALYSE, Endpoint.CALL_DELETE, Endpoint.RULES, Endpoint.PAGE,
)  # fmt: skip
"""Nothing is asked of another service for these."""
_WHOLE = {Stage.STT: StageStatus.OK, Stage.ANALYSIS: StageStatus.OK, Stage.SUMMARY: StageStatus.OK}
_HARMLESS = {
    Endpoint.CALL: Expected(status=[200], call=CallStatus.COMPLETE, check=CheckStatus.COMPLETE, stages=_WHOLE),
    Endpoint.CALL_REANALYSE: Expected(status=[202]),
    Endpoint.CALL_DELETE: Expected(status=[204]),
    Endpoint.CHECKS: Expected(status=[200], check=CheckStatus.COMPLETE),
    Endpoint.TRANSCRIBE: Expected(
        status=[200], stages={Stage.STT: StageStatus.OK, Stage.ANALYSIS: StageStatus.OK}, flags=[Flag.SUCCESS]
    ),
    Endpoint.LIVE: Expected(status=[1000]),
    Endpoint.REALTIME: Expected(
        status=[1000], stages={Stage.STT: StageStatus.OK, Stage.REPLY: StageStatus.OK, Stage.TTS: StageStatus.OK}
    ),
}
_OF_THE_LAST = {
    Endpoint.CALL: "call_degraded",
    Endpoint.CHECKS: "check_degraded",
    Endpoint.REALTIME: "talk_degraded",
}
_HARMLESS[Endpoint.TRANSCRIBE_OR_ERROR] = _HARMLESS[Endpoint.TRANSCRIBE]


def _expected(
    matrix: Matrix, upstream: str, row: UpstreamRow, fault_name: str, fault: FaultRow, endpoint: Endpoint
) -> Expected:
    expected = row.expect[endpoint]
    if fault.harmless and row.last and endpoint in (Endpoint.TRANSCRIBE, Endpoint.TRANSCRIBE_OR_ERROR):
        return matrix.outcomes["analysis_degraded"].model_copy(update={"names_attempt": None, "breaker": None})
    if fault.harmless and row.last and endpoint in _OF_THE_LAST:
        outcome = _OF_THE_LAST[endpoint]
        those_before_stay_away = {"names_attempt": None, "breaker": None, "heals": False}
        return matrix.outcomes[outcome].model_copy(update=those_before_stay_away)
    if fault.harmless:
        told = DeliveryOutcome.DELIVERED if expected.told else None
        return _HARMLESS.get(endpoint, Expected(status=[200])).model_copy(update={"told": told})
    found = [
        exception
        for exception in matrix.exceptions
        if upstream in exception.upstreams and fault_name in exception.faults and endpoint in exception.endpoints
    ]
    if len(found) > 1:
        raise ValueError(f"two exceptions for {upstream} x {fault_name} x {endpoint}")
    for exception in found:
        return Expected.model_validate({**expected.model_dump(), **exception.expect})
    return expected

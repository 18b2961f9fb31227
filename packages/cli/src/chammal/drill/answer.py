"""What a user got for one request, read as a caller would read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import httpx2
from pydantic import BaseModel, ValidationError

from chammal.drill.promises import check_problem, check_result
from chammal_contracts import headers as wire
from chammal_contracts.chat import Provenance
from chammal_contracts.errors import ProblemBody
from chammal_contracts.stages import Attempt, AttemptOutcome, BreakerState, FailureType, Stage, StageStatus
from chammal_contracts.transcribe import TranscribeResult

GRACE_SECONDS = 2.0
"""How much later than its deadline an answer may come: it travels, and the machine is busy."""


class Endpoint(StrEnum):
    TRANSCRIBE = "transcribe"
    CHAT = "chat"
    SPEECH = "speech"


MAIN_STAGE = {Endpoint.TRANSCRIBE: Stage.STT, Endpoint.CHAT: Stage.ANALYSIS, Endpoint.SPEECH: Stage.TTS}


class Outcome(StrEnum):
    """In the words of the verdict's table."""

    OK = "ok"
    DEGRADED = "degraded"
    DUMMY = "dummy"
    """200 with flags: a stage has no real answer."""
    ERROR = "error"
    """A problem that names the cause, or a stream cut so that the caller sees it."""
    SERVER_ERROR = "500"
    NOTHING = "no answer"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says."""

    said: str
    stages: Mapping[Stage, StageStatus] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    breakers: Mapping[str, BreakerState] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    """Promises that it breaks, whatever the fault."""
    stage_seconds: float | None = None
    """Of the stage that brought nothing, where the answer tells."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Times are seconds since the drill began."""

    endpoint: Endpoint
    began: float
    seconds: float
    deadline: float
    status: int | None
    reading: Reading

    @property
    def ended(self) -> float:
        return self.began + self.seconds

    @property
    def outcome(self) -> Outcome:
        if self.status is None:
            return Outcome.NOTHING
        if self.status == 500:
            return Outcome.SERVER_ERROR
        statuses = set(self.reading.stages.values())
        if self.status != 200 or (StageStatus.DUMMY in statuses and self.endpoint is not Endpoint.TRANSCRIBE):
            return Outcome.ERROR
        if StageStatus.DUMMY in statuses:
            return Outcome.DUMMY
        return Outcome.DEGRADED if StageStatus.DEGRADED in statuses else Outcome.OK

    @property
    def broken(self) -> tuple[str, ...]:
        """Promises that every answer has to keep."""
        if self.seconds <= self.deadline + GRACE_SECONDS:
            return self.reading.broken
        return (*self.reading.broken, f"an answer after {self.seconds:.1f} s, with a deadline of {self.deadline:.1f} s")

    @property
    def rejected_in(self) -> float | None:
        """Seconds that an open breaker took to say no; None for all other answers."""
        if not self.reading.attempts or any(
            (attempt.outcome, attempt.error_type) != (AttemptOutcome.REFUSED, FailureType.BREAKER_OPEN)
            for attempt in self.reading.attempts
        ):
            return None
        return self.seconds if self.reading.stage_seconds is None else self.reading.stage_seconds


def read(endpoint: Endpoint, response: httpx2.Response) -> Reading:
    if response.status_code != 200:
        return _read_problem(endpoint, response)
    try:
        return _READ[endpoint](response)
    except ValidationError as error:
        first = error.errors()[0]
        return Reading(
            "unreadable", broken=(f"{endpoint} answered 200 in a wrong shape: {first['loc']} {first['msg']}",)
        )


def cut_short(endpoint: Endpoint, error: Exception) -> Reading:
    """The connection ended within the body of an answer that had begun with 200."""
    broken = () if endpoint is Endpoint.SPEECH else (f"{endpoint} was cut off: {error or type(error).__name__}",)
    return Reading("cut off, for the caller to see", {MAIN_STAGE[endpoint]: StageStatus.DUMMY}, broken=broken)


def unanswered(why: str) -> Reading:
    return Reading(why, broken=(f"no answer: {why}",))


def _read_problem(endpoint: Endpoint, response: httpx2.Response) -> Reading:
    broken = tuple(check_problem(str(endpoint), response))
    stages = {MAIN_STAGE[endpoint]: StageStatus.DUMMY}
    try:
        problem = ProblemBody.model_validate_json(response.content)
    except ValidationError:
        return Reading(f"no problem+json, {len(response.content)} bytes", stages, broken=broken)
    attempts = _attempts(problem)
    said = " ".join([problem.code, _trail(attempts)]).strip()
    if "retry-after" in response.headers:
        said += f", retry after {response.headers['retry-after']} s"
    return Reading(said, stages, attempts, _breakers(attempts), broken)


def _attempts(problem: ProblemBody) -> tuple[Attempt, ...]:
    told = (problem.model_extra or {}).get("attempts")
    try:
        return tuple(Attempt.model_validate(row) for row in told) if isinstance(told, list) else ()
    except ValidationError:
        return ()


def _breakers(attempts: tuple[Attempt, ...]) -> dict[str, BreakerState]:
    """What attempts tell of the breakers before whoever was tried: also of those behind the gateway."""
    states = {}
    for attempt in attempts:
        if attempt.outcome is AttemptOutcome.REFUSED and attempt.error_type is FailureType.BREAKER_OPEN:
            states[attempt.backend] = BreakerState.OPEN
        elif attempt.outcome is AttemptOutcome.OK:
            states[attempt.backend] = BreakerState.CLOSED
    return states


def _trail(attempts: tuple[Attempt, ...]) -> str:
    return ", ".join(f"{attempt.backend}={attempt.error_type or attempt.outcome}" for attempt in attempts)


def _read_transcribe(response: httpx2.Response) -> Reading:
    result = TranscribeResult.model_validate_json(response.content)
    failed = next((report for report in result.stages if report.status is StageStatus.DUMMY), None)
    flags = [name for name in ("is_dummy", "is_agent_dummy", "is_partial_failure") if getattr(result, name)]
    parts = [f"{report.stage}={report.status}" for report in result.stages] + flags
    if failed:
        parts.append(f"({_trail(tuple(failed.attempts)) or failed.error_type})")
    attempts = tuple(attempt for report in result.stages for attempt in report.attempts)
    return Reading(
        " ".join(parts),
        {report.stage: report.status for report in result.stages},
        tuple(failed.attempts) if failed else (),
        _breakers(attempts),
        tuple(check_result(result, response.headers.get(wire.DEGRADED))),
        failed.seconds if failed else None,
    )


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    choices: list[_Choice]
    chammal: Provenance


def _read_chat(response: httpx2.Response) -> Reading:
    completion = _Completion.model_validate_json(response.content)
    told = completion.chammal
    first = all(attempt.backend == told.backend for attempt in told.attempts)
    broken = []
    if not (completion.choices and completion.choices[0].message.content.strip()):
        broken.append("chat answered 200 and said nothing")
    if response.headers.get(wire.BACKEND) != told.backend:
        broken.append(f"{wire.BACKEND} is {response.headers.get(wire.BACKEND)} and the body says {told.backend}")
    return Reading(
        f"{told.backend}" if first else f"{told.backend} after {_trail(tuple(told.attempts))}",
        {Stage.ANALYSIS: StageStatus.OK if first else StageStatus.DEGRADED},
        breakers=_breakers(tuple(told.attempts)),
        broken=tuple(broken),
    )


def _read_speech(response: httpx2.Response) -> Reading:
    is_sound = response.content.startswith(b"RIFF") and len(response.content) > 1000
    broken = () if is_sound else (f"speech answered 200 with {len(response.content)} bytes that are no sound",)
    return Reading(f"{len(response.content) // 1000} kB of sound", {Stage.TTS: StageStatus.OK}, broken=broken)


_READ = {Endpoint.TRANSCRIBE: _read_transcribe, Endpoint.CHAT: _read_chat, Endpoint.SPEECH: _read_speech}

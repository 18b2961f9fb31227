"""Turns an upstream's failure into the outcome of a stage, or into the caller's own error."""

import math
from typing import Any

from pydantic import ValidationError

from chammal_api.outcome import Outcome, T
from chammal_contracts.errors import ErrorCode, ProblemBody
from chammal_contracts.stages import Attempt, BreakerState, FailureType, Stage, StageReport, StageStatus
from chammal_kit.problems import Problem
from chammal_kit.upstream_errors import UpstreamError, UpstreamRejected

_STATUS = {
    FailureType.READ_TIMEOUT: 504,
    FailureType.CONNECT_TIMEOUT: 504,
    FailureType.DEADLINE_EXCEEDED: 504,
    FailureType.HTTP_ERROR: 502,
    FailureType.INVALID_RESPONSE: 502,
    FailureType.MISCONFIGURED: 502,
    FailureType.RESPONSE_TOO_LARGE: 502,
    FailureType.CONNECTION_LOST: 502,
}


def failed_stage(
    stage: Stage, error: UpstreamError, breaker: BreakerState, attempts: list[Attempt] | None = None
) -> Outcome[T]:
    """`attempts` where the upstream itself tells finer ones, as the gateway does of its backends."""
    report = StageReport(
        stage=stage,
        status=StageStatus.DUMMY,
        attempts=attempts or error.attempts,
        breaker=breaker,
        seconds=error.seconds,
        error_type=error.failure,
        error=describe(error),
    )
    return Outcome(None, report, status_for(error.failure), error.retry_after)


def describe(error: UpstreamError) -> str:
    """The cause in one line: the upstream's own words where it sent problem+json."""
    problem = read_problem(error.body)
    return f"{error.upstream}: {error.failure}: {problem.detail if problem else error.detail}"


def status_for(failure: FailureType) -> int:
    return _STATUS.get(failure, 503)


def read_problem(body: bytes) -> ProblemBody | None:
    try:
        return ProblemBody.model_validate_json(body)
    except ValidationError:
        return None


def words_for_the_caller(error: UpstreamError) -> ProblemBody | None:
    """The service's own, where they are not about our key."""
    return None if error.failure is FailureType.MISCONFIGURED else read_problem(error.body)


def callers_problem(error: UpstreamRejected) -> Problem:
    """A 4xx of a service, passed on with its code and its advice: the mistake is the caller's."""
    problem = read_problem(error.body)
    status = error.http_status
    if status is None:
        return Problem(400, ErrorCode.INVALID_REQUEST, f"The request cannot be passed on: {error.detail}.")
    if problem is None:
        return Problem(status, ErrorCode.INVALID_REQUEST, f"{error.upstream} refused the request ({status}).")
    return Problem(status, problem.code, problem.detail, **(problem.model_extra or {}))


def stage_problem(outcome: Outcome[Any], stages: list[StageReport]) -> Problem:
    """For callers who asked for `on_failure=error`."""
    return Problem(
        outcome.status_code,
        ErrorCode.STAGE_FAILED,
        f"The stage {outcome.report.stage} failed: {outcome.report.error}",
        headers=retry_after_header(outcome.retry_after),
        stages=[stage.model_dump(mode="json") for stage in stages],
    )


def retry_after_header(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds or 0)))}

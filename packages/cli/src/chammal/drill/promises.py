"""The degradation contract, as a caller can check it on one answer. Derived anew: nothing of the api is asked."""

from collections.abc import Iterator

import httpx2
from pydantic import ValidationError

from chammal_contracts.errors import PROBLEM_MEDIA_TYPE, ErrorCode, ProblemBody
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import Finding, TranscribeResult

REAL = frozenset({StageStatus.OK, StageStatus.DEGRADED})
HONEST_ERRORS = frozenset({429, 502, 503, 504})
"""What a failed stage may be where a dummy has no place. 500 is a fault of our own."""


def check_problem(endpoint: str, response: httpx2.Response) -> Iterator[str]:
    status = response.status_code
    if endpoint == "transcribe":
        yield f"transcribe answered {status} instead of 200 with flags"
    elif status not in HONEST_ERRORS:
        yield f"{endpoint} answered {status}"
    if status in (429, 503) and "retry-after" not in response.headers:
        yield f"{endpoint} answered {status} without Retry-After"
    try:
        problem = ProblemBody.model_validate_json(response.content)
    except ValidationError:
        yield f"{endpoint} answered {status} without problem+json"
        return
    if response.headers.get("content-type", "").partition(";")[0] != PROBLEM_MEDIA_TYPE or problem.status != status:
        yield f"{endpoint} answered {status} with a problem of another type or status"
    if problem.code is ErrorCode.INTERNAL_ERROR:
        yield f"{endpoint} answered with {problem.code}"


def check_result(result: TranscribeResult, header: str | None) -> Iterator[str]:
    """`header` is Chammal-Degraded."""
    by_stage = {report.stage: report for report in result.stages}
    heard, judged = by_stage.get(Stage.STT), by_stage.get(Stage.ANALYSIS)
    if heard is None or judged is None:
        yield "transcribe answered without a report of each stage"
        return
    real, failed = heard.status in REAL, judged.status is StageStatus.DUMMY
    flags = {
        "success": (result.success, real),
        "is_dummy": (result.is_dummy, heard.status is StageStatus.DUMMY),
        "is_agent_dummy": (result.is_agent_dummy, failed),
        "is_partial_failure": (result.is_partial_failure, real and failed),
        "dummy_reason": (bool(result.dummy_reason), heard.status is StageStatus.DUMMY),
        "agent_dummy_reason": (bool(result.agent_dummy_reason), failed),
        "partial_failure_reason": (bool(result.partial_failure_reason), real and failed),
        "text": (result.text is not None, real),
        "agent_analysis": (result.agent_analysis is not None, judged.status in REAL),
    }
    for name, (told, true) in flags.items():
        if told != true:
            yield f"the flag {name} is wrong: stt={heard.status}, analysis={judged.status}"
    if not real and judged.status is not StageStatus.SKIPPED:
        yield "a transcript that is not there was analysed"
    if judged.status not in REAL and _verdicts(result) - {Finding.NOT_EVALUATED}:
        yield "a verdict without an analysis"
    for report in result.stages:
        if report.status is StageStatus.DUMMY and not (report.error and report.error_type):
            yield f"{report.stage} is a dummy without a reason"
    if (header or "") != _header(result.stages):
        yield f"the header says {header!r} and the stages {_header(result.stages)!r}"


def _verdicts(result: TranscribeResult) -> set[Finding]:
    return {element.verdict for element in result.incomplete_elements.elements} if result.incomplete_elements else set()


def _header(stages: list[StageReport]) -> str:
    told = (StageStatus.DEGRADED, StageStatus.DUMMY)
    return ", ".join(f"{report.stage}={report.status}" for report in stages if report.status in told)

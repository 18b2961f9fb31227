"""One whole and two degraded answers keep all promises; each lie in them is found."""

from typing import Any

import httpx2
import pytest

from chammal.drill.promises import check_problem, check_result
from chammal_contracts.transcribe import Finding, TranscribeResult

from .drill_answers import dummy_analysis, dummy_transcript, problem, whole


@pytest.mark.parametrize(
    ("answer", "header"),
    [(whole(), None), (dummy_analysis(), "analysis=dummy"), (dummy_transcript(), "stt=dummy")],
)
def test_an_honest_answer_breaks_nothing(answer: dict[str, Any], header: str | None) -> None:
    assert list(check_result(TranscribeResult.model_validate(answer), header)) == []


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        ({"is_agent_dummy": False}, "is_agent_dummy"),
        ({"is_partial_failure": False}, "is_partial_failure"),
        ({"agent_dummy_reason": None}, "agent_dummy_reason"),
        ({"partial_failure_reason": ""}, "partial_failure_reason"),
        ({"success": False}, "success"),
        ({"is_dummy": True}, "is_dummy"),
        ({"text": None}, "text"),
        ({"agent_analysis": {"summary": "All is well."}}, "agent_analysis"),
    ],
)
def test_each_wrong_flag_is_found(lie: dict[str, Any], found: str) -> None:
    answer = TranscribeResult.model_validate(dummy_analysis() | lie)
    assert [f"the flag {found} is wrong" in broken for broken in check_result(answer, "analysis=dummy")] == [True]


def test_a_verdict_without_an_analysis_is_found() -> None:
    row = {"id": "TM-01", "name": "x", "verdict": Finding.MET}
    lie = dummy_analysis() | {"incomplete_elements": {"evaluated": True, "elements": [row]}}
    assert list(check_result(TranscribeResult.model_validate(lie), "analysis=dummy")) == [
        "a verdict without an analysis"
    ]


def test_an_analysis_of_a_transcript_that_is_not_there_is_found() -> None:
    lie = dummy_transcript()
    lie["stages"][1] = {"stage": "analysis", "status": "ok"}
    lie["agent_analysis"] = {"summary": "All is well."}
    broken = list(check_result(TranscribeResult.model_validate(lie), "stt=dummy"))
    assert broken == ["a transcript that is not there was analysed"]


def test_a_header_that_says_less_than_the_stages_is_found() -> None:
    (broken,) = check_result(TranscribeResult.model_validate(dummy_analysis()), None)
    assert "header" in broken


def test_a_dummy_without_a_reason_is_found() -> None:
    lie = dummy_analysis()
    lie["stages"][1]["error"] = None
    (broken,) = check_result(TranscribeResult.model_validate(lie), "analysis=dummy")
    assert "without a reason" in broken


def test_a_problem_with_retry_after_is_honest() -> None:
    assert list(check_problem("speech", problem(503))) == []


@pytest.mark.parametrize(
    ("endpoint", "response", "found"),
    [
        ("speech", problem(500, code="internal_error"), {"speech answered 500", "speech answered with internal_error"}),
        ("speech", problem(503, retry_after=None), {"speech answered 503 without Retry-After"}),
        ("speech", httpx2.Response(502, text="Bad Gateway"), {"speech answered 502 without problem+json"}),
        ("transcribe", problem(503), {"transcribe answered 503 instead of 200 with flags"}),
    ],
)
def test_each_wrong_error_is_found(endpoint: str, response: httpx2.Response, found: set[str]) -> None:
    assert set(check_problem(endpoint, response)) == found

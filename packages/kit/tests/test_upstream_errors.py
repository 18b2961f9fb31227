import pytest

from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import FailureType
from chammal_kit.problems import Problem
from chammal_kit.retry import worth_retrying
from chammal_kit.upstream_errors import Evidence, UpstreamRejected, from_status

CALLERS_FAULT = (FailureType.REJECTED, Evidence.FOR, False)
"""The upstream works and is not asked again."""
OUR_OWN_FAULT = {
    401: (FailureType.MISCONFIGURED, Evidence.AGAINST, False),
    402: (FailureType.MISCONFIGURED, Evidence.NONE, False),
    403: (FailureType.MISCONFIGURED, Evidence.NONE, False),
    407: (FailureType.MISCONFIGURED, Evidence.AGAINST, False),
    421: (FailureType.MISCONFIGURED, Evidence.AGAINST, False),
}
NOBODYS_FAULT = {
    408: (FailureType.HTTP_ERROR, Evidence.NONE, False),
    425: (FailureType.HTTP_ERROR, Evidence.NONE, True),
    499: (FailureType.HTTP_ERROR, Evidence.NONE, False),
}
THE_UPSTREAMS_LIMIT = {429: (FailureType.RATE_LIMITED, Evidence.AGAINST, True)}
KNOWN = OUR_OWN_FAULT | NOBODYS_FAULT | THE_UPSTREAMS_LIMIT


@pytest.mark.parametrize("status", range(400, 500))
def test_every_4xx_is_classified_and_a_callers_fault_says_that_the_upstream_is_well(status: int) -> None:
    error = from_status("llm", status, {}, b"")
    assert (error.failure, error.evidence, worth_retrying(error)) == KNOWN.get(status, CALLERS_FAULT)
    assert isinstance(error, UpstreamRejected) == (status not in KNOWN)


@pytest.mark.parametrize(
    "status", [400, 404, 405, 409, 410, 413, 414, 415, 416, 417, 418, 422, 423, 424, 426, 428, 431, 451]
)
def test_what_a_caller_can_send_wrong_is_the_caller_s_fault(status: int) -> None:
    assert status not in KNOWN


def test_a_service_that_kept_to_a_short_deadline_is_not_asked_again() -> None:
    body = Problem(504, ErrorCode.DEADLINE_EXCEEDED, "late").body().model_dump_json().encode()
    error = from_status("stt", 504, {}, body)
    assert error.failure is FailureType.DEADLINE_EXCEEDED
    assert not worth_retrying(error)
    assert worth_retrying(from_status("stt", 504, {}, b"<html>"))


def test_retry_after_is_kept_whatever_the_status() -> None:
    assert [from_status("llm", s, {"retry-after": "7"}, b"").retry_after for s in (401, 422, 429, 503)] == [7.0] * 4


@pytest.mark.parametrize(
    ("failures", "evidence"),
    [
        (["invalid_response"], Evidence.NONE),
        (["invalid_response", "invalid_response"], Evidence.NONE),
        (["connect_error", "invalid_response"], Evidence.AGAINST),
        ([], Evidence.AGAINST),
    ],
)
def test_models_that_a_caller_s_text_leads_astray_are_no_failure_of_the_gateway(
    failures: list[str], evidence: Evidence
) -> None:
    attempts = [{"backend": "vllm", "outcome": "failed", "error_type": failure} for failure in failures]
    problem = Problem(503, ErrorCode.BACKENDS_FAILED, "none", attempts=attempts)
    error = from_status("llm-gateway", 503, {}, problem.body().model_dump_json().encode())
    assert error.evidence is evidence
    assert worth_retrying(error) == (evidence is Evidence.AGAINST)

"""The report of a stage that asks many questions at the same time."""

import pytest

from chammal_api.check.asking import Tally
from chammal_api.clients.completion import Completed, Provenance
from chammal_contracts.stages import Attempt, AttemptOutcome, FailureType, Stage, StageStatus
from chammal_kit.upstream import Upstream, UpstreamError, UpstreamPolicy

UPSTREAM = Upstream("llm-gateway", "http://127.0.0.1:9", UpstreamPolicy())


def took(seconds: float) -> Completed[str]:
    attempt = Attempt(backend="vllm", outcome=AttemptOutcome.OK, seconds=seconds)
    return Completed("yes", Provenance(backend="vllm", model="qwen", attempts=[attempt]), seconds)


def failed_after(seconds: float) -> UpstreamError:
    error = UpstreamError("llm-gateway", FailureType.READ_TIMEOUT, "silence")
    error.seconds = seconds
    return error


@pytest.mark.parametrize("answers", [0, 3])
@pytest.mark.parametrize("failures", [0, 2])
def test_the_stages_seconds_are_a_clocks_and_no_sum_over_questions_side_by_side(answers: int, failures: int) -> None:
    times = iter((10.0, 14.0))
    tally = Tally(Stage.ANALYSIS, UPSTREAM, lambda: next(times))
    for _ in range(answers):
        tally.answered(took(3.5))
    for _ in range(failures):
        tally.failed(failed_after(4.0))
    assert tally.report(answers, answers + failures, "questions").seconds == 4.0


def test_attempts_of_one_kind_are_one_row_with_their_seconds_added() -> None:
    tally = Tally(Stage.ANALYSIS, UPSTREAM)
    for _ in range(3):
        tally.answered(took(3.5))
    report = tally.report(3, 3, "questions")
    assert (report.status, report.backend, report.model) == (StageStatus.OK, "vllm", "qwen")
    assert [(row.backend, row.outcome, row.seconds) for row in report.attempts] == [("vllm", AttemptOutcome.OK, 10.5)]

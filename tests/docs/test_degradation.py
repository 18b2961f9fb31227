"""What docs/degradation.md claims, claim by claim. Its matrix is tested by tests/faults."""

import re
from pathlib import Path

import pytest

from chammal_api.check.rule_shelf import read_rules
from chammal_api.clients.failure import retry_after_header, status_for
from chammal_api.elements import elements_of
from chammal_api.outcome import Outcome, skipped
from chammal_api.result import build_result, degraded_header
from chammal_contracts.asr import Transcription
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import AttemptOutcome, BreakerState, FailureType, Stage, StageReport, StageStatus
from chammal_contracts.transcribe import Finding

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "degradation.md").read_text(encoding="utf-8")
ELEMENTS = elements_of(read_rules(ROOT / "rules" / "fcpa-kr.yaml"))
TIMEOUTS = {FailureType.READ_TIMEOUT, FailureType.CONNECT_TIMEOUT, FailureType.DEADLINE_EXCEEDED}
UNUSABLE = {
    FailureType.HTTP_ERROR, FailureType.INVALID_RESPONSE, FailureType.RESPONSE_TOO_LARGE, FailureType.CONNECTION_LOST,
    FailureType.MISCONFIGURED,
}  # fmt: skip


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", text))


def test_every_field_of_a_report_and_every_value_is_explained() -> None:
    rows = PAGE.split("## ")[0]
    assert words("".join(row.split("|")[1] for row in rows.splitlines() if row.startswith("| `"))) == set(
        StageReport.model_fields
    )
    assert words(rows) >= set(StageStatus) | set(BreakerState) | set(AttemptOutcome)


def test_every_error_type_is_listed_and_no_other() -> None:
    assert words(section("Error types")) == set(FailureType)


def test_every_code_is_in_the_table_and_no_other() -> None:
    rows = [row for row in section("Problems").splitlines() if row.startswith("| `")]
    assert {code for row in rows for code in words(row.split("|")[1])} == set(ErrorCode)


@pytest.mark.parametrize("failure", FailureType)
def test_the_status_of_a_failure_is_504_for_time_outs_502_for_an_unusable_answer_and_503_else(
    failure: FailureType,
) -> None:
    assert status_for(failure) == (504 if failure in TIMEOUTS else 502 if failure in UNUSABLE else 503)


@pytest.mark.parametrize("seconds", [None, 0.0, 0.2, 7.0])
def test_retry_after_is_whole_seconds_and_one_at_least(seconds: float | None) -> None:
    assert int(retry_after_header(seconds)["Retry-After"]) >= max(1, seconds or 0)


def heard(text: str | None) -> Outcome[Transcription]:
    if text is None:
        report = StageReport(stage=Stage.STT, status=StageStatus.DUMMY, error="stt: it is down", error_type="x")
        return Outcome(None, report)
    said = Transcription(language="ko", duration=1.0, text=text, segments=[], model="m")
    return Outcome(said, StageReport(stage=Stage.STT, status=StageStatus.OK))


def no_analysis() -> Outcome[object]:
    return Outcome(None, StageReport(stage=Stage.ANALYSIS, status=StageStatus.DUMMY, error="llm: it is down"))


def test_without_a_transcript_there_is_a_dummy_with_its_reason_and_nothing_else() -> None:
    result = build_result(heard(None), skipped(Stage.ANALYSIS, "no transcript"), ELEMENTS)
    assert (result.success, result.is_dummy, result.is_agent_dummy, result.is_partial_failure) == (
        False, True, False, False,
    )  # fmt: skip
    assert (result.text, result.dummy_reason) == (None, "stt: it is down")
    assert (result.stages[1].status, result.stages[1].error) == (StageStatus.SKIPPED, "no transcript")
    assert degraded_header(result.stages) == "stt=dummy"


def test_without_an_analysis_there_is_a_partial_failure_and_every_element_is_not_evaluated() -> None:
    result = build_result(heard("안녕하세요."), no_analysis(), ELEMENTS)  # type: ignore[arg-type]
    assert (result.success, result.is_dummy, result.is_agent_dummy, result.is_partial_failure) == (
        True, False, True, True,
    )  # fmt: skip
    assert (result.agent_analysis, result.agent_dummy_reason) == (None, "llm: it is down")
    assert result.partial_failure_reason == "analysis: llm: it is down"
    assert result.incomplete_elements is not None
    assert not result.incomplete_elements.evaluated
    assert {element.verdict for element in result.incomplete_elements.elements} == {Finding.NOT_EVALUATED}
    assert degraded_header(result.stages) == "analysis=dummy"


def test_silence_is_a_real_transcript() -> None:
    result = build_result(heard(""), skipped(Stage.ANALYSIS, "the transcript is empty"), None)
    assert (result.success, result.is_dummy, result.text) == (True, False, "")
    assert degraded_header(result.stages) is None


def test_the_flags_are_derived_in_one_place() -> None:
    sources = ROOT.glob("services/api/src/**/*.py")
    setters = [path.name for path in sources if re.search(r"is_(agent_)?dummy=", path.read_text(encoding="utf-8"))]
    assert setters == ["result.py"]

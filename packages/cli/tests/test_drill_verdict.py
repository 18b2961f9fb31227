import pytest
from rich.console import Console

from chammal.drill.answer import Answer, Endpoint, Reading
from chammal.drill.breakers import Breakers
from chammal.drill.rehearsal import Course, Phase
from chammal.drill.scenario import scenarios
from chammal.drill.verdict import Verdict, judge, render
from chammal_contracts.failures import FailureReport
from chammal_contracts.stages import BreakerState, Stage, StageStatus

TTS_DOWN = scenarios()["tts-down"]
VLLM_DOWN = scenarios()["vllm-down"]


def said(endpoint: Endpoint, began: float, *, status: int = 200, **stages: StageStatus) -> Answer:
    return Answer(endpoint, began, 0.5, 10.0, status, Reading("", {Stage(name): s for name, s in stages.items()}))


def course(*answers: Answer, hits: int = 3, recovered_at: float | None = 21.0) -> Course:
    """The fault lasts from 10 to 20 s."""
    return Course(10.0, 10.0, 20.0, recovered_at, hits, list(answers))


def failed_speech(began: float) -> Answer:
    return said(Endpoint.SPEECH, began, status=503, tts=StageStatus.DUMMY)


def spoken(began: float) -> Answer:
    return said(Endpoint.SPEECH, began, tts=StageStatus.OK)


def test_failures_where_they_belong_keep_the_promise() -> None:
    verdict = judge(TTS_DOWN, course(spoken(1), failed_speech(12), failed_speech(20.1), spoken(20.2), spoken(22)))
    assert verdict.kept
    assert [(row.phase, sum(row.outcomes.values())) for row in verdict.rows] == [
        (Phase.BEFORE, 1), (Phase.FAULT, 1), (Phase.RECOVERY, 2), (Phase.AFTER, 1),
    ]  # fmt: skip


def only_broken(verdict: Verdict) -> str:
    (broken,) = verdict.broken
    return broken


def test_a_failure_of_a_stage_that_was_not_drilled_breaks_it() -> None:
    chat = said(Endpoint.CHAT, 12, status=503, analysis=StageStatus.DUMMY)
    assert only_broken(judge(TTS_DOWN, course(chat))) == "chat: analysis was dummy during the fault"


def test_success_while_nothing_can_succeed_breaks_it_but_not_at_the_edges_of_the_fault() -> None:
    assert only_broken(judge(TTS_DOWN, course(spoken(12)))) == "speech: tts was ok during the fault"
    assert judge(TTS_DOWN, course(spoken(9.8), spoken(19.8), failed_speech(12))).kept


def test_a_failure_after_recovery_breaks_it() -> None:
    assert (
        only_broken(judge(TTS_DOWN, course(failed_speech(22)))) == "speech: tts was dummy after the mesh had recovered"
    )


def test_no_recovery_breaks_it() -> None:
    assert only_broken(judge(TTS_DOWN, course(failed_speech(12), recovered_at=None))) == "not recovered in time"


def test_a_fault_that_hit_nothing_proves_nothing() -> None:
    assert "hit nothing" in only_broken(judge(TTS_DOWN, course(spoken(1), hits=0)))


def test_a_lie_in_any_answer_breaks_it_once_for_each() -> None:
    lie = Answer(Endpoint.CHAT, 1, 0.5, 10, 200, Reading("", broken=("it lied",)))
    assert judge(VLLM_DOWN, course(lie, lie)).broken == {"it lied": 2}


@pytest.mark.parametrize("heard", [StageStatus.OK, StageStatus.DUMMY])
def test_an_analysis_may_be_skipped_only_where_it_was_not_wanted_or_nothing_was_heard(heard: StageStatus) -> None:
    call = said(Endpoint.TRANSCRIBE, 12, stt=heard, analysis=StageStatus.SKIPPED)
    assert judge(scenarios()["stt-down"], course(call)).kept is (heard is StageStatus.DUMMY)
    assert any("analysis was skipped" in b for b in judge(VLLM_DOWN, course(call)).broken) is (heard is StageStatus.OK)


def report(state: BreakerState) -> FailureReport:
    row = {"stage": "tts", "total": 0, "failures": 0, "rate": 0, "breaker": state}
    return FailureReport.model_validate({"since": "", "environment": "staging", "stages": [row]})


def test_the_table_says_when_breakers_opened_and_closed_and_whether_the_promise_was_kept() -> None:
    breakers = Breakers(lambda change: None)
    for at, state in ((1, BreakerState.CLOSED), (12.5, BreakerState.OPEN), (22, BreakerState.CLOSED)):
        breakers.reported(report(state), at)
    happened = course(spoken(1), failed_speech(12), spoken(23))
    happened.changes = breakers.changes
    console = Console(width=120, record=True, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(render(judge(TTS_DOWN, happened)))
    for part in ("open 2.5 s after the fault, closed 2.0 s after it was gone", "promise kept", "yes", "1.0 s after"):
        assert part in capture.get()


def test_what_old_answers_tell_of_a_breaker_that_is_asked_for_is_no_news() -> None:
    changes: list[object] = []
    breakers = Breakers(changes.append)
    breakers.reported(report(BreakerState.CLOSED), 1)
    breakers.told({"tts": BreakerState.OPEN, "vllm": BreakerState.OPEN}, 2)
    assert (breakers.states["tts"], breakers.states["vllm"]) == (BreakerState.CLOSED, BreakerState.OPEN)
    assert len(changes) == 1
    assert not breakers.all_closed

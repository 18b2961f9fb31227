import httpx2
import pytest

from chammal.drill.answer import Answer, Endpoint, Outcome, Reading, cut_short, read, unanswered
from chammal_contracts.stages import BreakerState, Stage, StageStatus

from .drill_answers import chat, dummy_analysis, dummy_transcript, not_asked, problem, refused, speech, whole

FAILED = {"backend": "vllm", "outcome": "failed", "error_type": "connect_error", "seconds": 0.1}
LLAMACPP = {"backend": "llamacpp", "outcome": "ok", "seconds": 0.1}


def answer(endpoint: Endpoint, response: httpx2.Response, *, seconds: float = 1.0, deadline: float = 10.0) -> Answer:
    return Answer(endpoint, 0.0, seconds, deadline, response.status_code, read(endpoint, response))


def transcribed(body: dict[str, object], degraded: str | None = None) -> httpx2.Response:
    return httpx2.Response(200, json=body, headers={"Chammal-Degraded": degraded} if degraded else {})


@pytest.mark.parametrize(
    ("endpoint", "response", "outcome"),
    [
        (Endpoint.TRANSCRIBE, transcribed(whole()), Outcome.OK),
        (Endpoint.TRANSCRIBE, transcribed(not_asked()), Outcome.OK),
        (Endpoint.TRANSCRIBE, transcribed(dummy_analysis(), "analysis=dummy"), Outcome.DUMMY),
        (Endpoint.TRANSCRIBE, transcribed(dummy_transcript(), "stt=dummy"), Outcome.DUMMY),
        (Endpoint.CHAT, chat(), Outcome.OK),
        (Endpoint.CHAT, chat(FAILED, LLAMACPP, backend="llamacpp"), Outcome.DEGRADED),
        (Endpoint.CHAT, problem(503, FAILED), Outcome.ERROR),
        (Endpoint.SPEECH, speech(), Outcome.OK),
        (Endpoint.SPEECH, problem(503), Outcome.ERROR),
    ],
)
def test_honest_answers_break_no_promise(endpoint: Endpoint, response: httpx2.Response, outcome: Outcome) -> None:
    got = answer(endpoint, response)
    assert (got.outcome, got.broken) == (outcome, ())


@pytest.mark.parametrize(
    ("endpoint", "response", "broken"),
    [
        (Endpoint.TRANSCRIBE, transcribed(dummy_analysis()), "the header says"),
        (Endpoint.TRANSCRIBE, httpx2.Response(200, json={"text": "x"}), "wrong shape"),
        (Endpoint.CHAT, httpx2.Response(200, text="<html>"), "wrong shape"),
        (Endpoint.SPEECH, httpx2.Response(200, content=b""), "no sound"),
        (Endpoint.SPEECH, problem(500, code="internal_error"), "answered 500"),
    ],
)
def test_answers_that_lie_or_crash_break_one(endpoint: Endpoint, response: httpx2.Response, broken: str) -> None:
    assert broken in answer(endpoint, response).broken[0]


def test_an_answer_after_its_deadline_breaks_a_promise_and_one_within_the_grace_does_not() -> None:
    assert answer(Endpoint.CHAT, chat(), seconds=11.9).broken == ()
    assert "deadline" in answer(Endpoint.CHAT, chat(), seconds=12.1).broken[0]


def test_no_answer_at_all_breaks_a_promise() -> None:
    nothing = Answer(Endpoint.CHAT, 0.0, 1.0, 10.0, None, unanswered("connection refused"))
    assert (nothing.outcome, nothing.broken) == (Outcome.NOTHING, ("no answer: connection refused",))


def test_speech_that_is_cut_off_is_an_error_that_the_caller_sees_and_a_cut_transcript_is_a_broken_promise() -> None:
    cut = Answer(Endpoint.SPEECH, 0.0, 1.0, 10.0, 200, cut_short(Endpoint.SPEECH, OSError("reset")))
    assert (cut.outcome, cut.broken) == (Outcome.ERROR, ())
    assert cut_short(Endpoint.TRANSCRIBE, OSError("reset")).broken


def test_attempts_tell_of_breakers_behind_the_gateway() -> None:
    assert read(Endpoint.CHAT, problem(503, refused("vllm"))).breakers == {"vllm": BreakerState.OPEN}
    assert read(Endpoint.CHAT, chat()).breakers == {"vllm": BreakerState.CLOSED}


def test_only_what_open_breakers_refused_counts_as_rejected_and_for_a_transcript_by_its_stage() -> None:
    assert answer(Endpoint.CHAT, problem(503, refused("vllm"))).rejected_in == 1.0
    assert answer(Endpoint.CHAT, problem(503, FAILED, refused("llamacpp"))).rejected_in is None
    assert answer(Endpoint.CHAT, chat()).rejected_in is None
    assert answer(Endpoint.TRANSCRIBE, transcribed(dummy_analysis(refused("vllm")))).rejected_in == 0.004


def test_an_error_counts_as_its_endpoints_stage() -> None:
    assert read(Endpoint.SPEECH, problem(503)).stages == {Stage.TTS: StageStatus.DUMMY}
    assert read(Endpoint.CHAT, problem(503)).stages == {Stage.ANALYSIS: StageStatus.DUMMY}
    assert read(Endpoint.TRANSCRIBE, transcribed(not_asked())) == Reading(
        "stt=ok analysis=skipped", {Stage.STT: StageStatus.OK, Stage.ANALYSIS: StageStatus.SKIPPED}
    )

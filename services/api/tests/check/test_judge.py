import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from chammal_api.check.asking import TIMES_OVERLOADED, Asker
from chammal_api.check.evidence import Refused, by_id, letters, verify
from chammal_api.check.findings import JudgeOutcome, ModelFinding
from chammal_api.check.judge import GROUP, NOT_ALL_SEEN, Judge, finding_of, groups_of, places_near, plan
from chammal_api.check.prompts import PROMPT_VERSION
from chammal_api.check.rules import Question, RuleSet
from chammal_api.check.windows import lines_of
from chammal_contracts.checks import CheckRequest, ProductType, Speaker, Utterance
from chammal_contracts.checks import Judge as Judged
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import AttemptOutcome, FailureType, StageStatus
from chammal_kit.breaker import BreakerPolicy
from chammal_kit.deadline import Deadline, set_deadline
from chammal_kit.problems import Problem
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Upstream, UpstreamError, UpstreamPolicy

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
AGENT, CUSTOMER = Speaker.AGENT, Speaker.CUSTOMER


def element(name: str, polarity: str, looks_for: str) -> dict[str, Any]:
    return {
        "id": name, "name": {"ko": name, "en": name}, "article": "제1조", "mode": "llm", "polarity": polarity,
        "severity": "high", "looks_for": looks_for,
    }  # fmt: skip


RULES = RuleSet.model_validate(
    {
        "name": "test",
        "version": "1",
        "title": {"ko": "시험", "en": "test"},
        "elements": [
            element("SAY-1", "must_say", "청약 철회를 안내하는 말"),
            element("SAY-2", "must_say", "위험 등급을 설명하는 말"),
            element("CONFIRM-1", "must_confirm", "이해했는지 묻는 말"),
            element("NOT-1", "must_not", "수익을 단정하는 말"),
        ],
    }
)


def request_of(*said: tuple[Speaker, str]) -> CheckRequest:
    utterances = [Utterance(id=f"u{n}", speaker=who, text=text) for n, (who, text) in enumerate(said, 1)]
    return CheckRequest(product_type=ProductType.INSURANCE, utterances=utterances)


CALL = request_of(
    (AGENT, "십오 일 안에 청약을 철회하실 수 있습니다."),
    (CUSTOMER, "무조건 수익이 나나요?"),
    (AGENT, "네, 무조건 수익이 납니다."),
    (AGENT, "이해하셨습니까?"),
    (CUSTOMER, "네, 이해했습니다."),
)


def questions_of(request: CheckRequest) -> list[Question]:
    return [question for one in RULES.elements for question in one.questions(request)]


@pytest.fixture
async def upstream(mesh: Any) -> AsyncIterator[Upstream]:
    async with aclosing(Upstream("llm-gateway", mesh.url, UpstreamPolicy(retry=RetryPolicy(retries=0)))) as upstream:
        yield upstream


Model = Callable[[str, dict[str, Any]], Any]


def answers(mesh: Any, model: Model, backends: Callable[[int], list[str]] = lambda _: ["vllm"]) -> None:
    """`model` gets the prompt and the properties that are wanted; a Response is sent as it is."""

    def answer() -> Response:
        sent = json.loads(mesh.seen[-1]["body"])
        wanted = sent["response_format"]["json_schema"]["schema"]["properties"]
        said = model("\n".join(message["content"] for message in sent["messages"]), wanted)
        if isinstance(said, Response):
            return said
        tried = backends(len(mesh.seen))
        attempts = [
            {"backend": name, "outcome": "ok" if name == tried[-1] else "failed", "seconds": 0.1} for name in tried
        ]
        return JSONResponse(
            {
                "choices": [{"message": {"content": json.dumps(said)}}],
                "chammal": {"backend": tried[-1], "model": "qwen", "attempts": attempts},
            }
        )

    mesh.answers[CHAT] = answer


def by_words(**named: int) -> Model:
    """Names lines by what the question looks for, and stands by them."""

    def model(prompt: str, wanted: dict[str, Any]) -> Any:
        if "answer" in wanted:
            return standing_by(prompt, wanted)
        asked = asked_in(prompt)
        lines = {key: next((n for word, n in named.items() if word in text), 0) for key, text in asked.items()}
        if "q1" in wanted:
            return {key: lines[key] for key in wanted}
        return {line: next((int(k) for k, n in lines.items() if n == int(line)), 0) for line in wanted}

    return model


def standing_by(prompt: str, wanted: dict[str, Any], sure: bool = True) -> dict[str, str]:
    if "yes" in wanted["answer"]["enum"]:
        return {"answer": "yes" if sure else "no"}
    suspected, harmless = ("B", "A") if "A: 문제없는" in prompt else ("A", "B")
    return {"answer": suspected if sure else harmless}


def asked_in(prompt: str) -> dict[str, str]:
    """By name, or by number where lines are sorted."""
    found = re.findall(r"^- (q\d+): (.*)$", prompt, re.MULTILINE) or re.findall(
        r"^([1-9]): (.*)$", prompt, re.MULTILINE
    )
    return dict(found)


async def judge(upstream: Upstream, request: CheckRequest = CALL, at_once: int = 4, **told: Any) -> JudgeOutcome:
    return await Judge(Asker(upstream, at_once), **told).judge(RULES, request, questions_of(request))


async def test_a_line_that_is_named_twice_is_a_finding_and_its_words_the_quote(mesh: Any, upstream: Upstream) -> None:
    answers(mesh, by_words(철회=1, 단정=3, 이해=4))
    outcome = await judge(upstream)
    assert outcome.findings["SAY-1"] == ModelFinding(True, ("u1",), "십오 일 안에 청약을 철회하실 수 있습니다.", 0.8)
    assert outcome.findings["NOT-1"] == ModelFinding(True, ("u3",), "네, 무조건 수익이 납니다.", 0.5)
    assert outcome.findings["CONFIRM-1"].utterance_ids == ("u4", "u5")
    assert not outcome.findings["SAY-2"].said
    assert outcome.prompt_version == PROMPT_VERSION
    report = outcome.report
    assert (report.status, report.backend, report.model, report.error) == (StageStatus.OK, "vllm", "qwen", None)
    assert [(row.backend, row.outcome) for row in report.attempts] == [("vllm", AttemptOutcome.OK)]


async def test_what_the_model_does_not_stand_by_is_not_said(mesh: Any, upstream: Upstream) -> None:
    answers(mesh, lambda _, wanted: {"answer": "no"} if "answer" in wanted else dict.fromkeys(wanted, 1))
    outcome = await judge(upstream)
    assert not any(finding.said for finding in outcome.findings.values())
    assert len(outcome.findings) == 4


@pytest.mark.parametrize("always", ["A", "B"])
async def test_a_suspicion_that_depends_on_how_it_is_asked_is_none(mesh: Any, upstream: Upstream, always: str) -> None:
    def model(prompt: str, wanted: dict[str, Any]) -> Any:
        if "answer" in wanted:
            return {"answer": "yes" if "yes" in wanted["answer"]["enum"] else always}
        return dict.fromkeys(wanted, 1)

    answers(mesh, model)
    findings = (await judge(upstream)).findings
    assert not findings["NOT-1"].said
    assert findings["SAY-1"].said


async def test_what_a_customer_asked_is_looked_for_in_the_agents_answer(mesh: Any, upstream: Upstream) -> None:
    answers(mesh, by_words(철회=2))
    finding = (await judge(upstream)).findings["SAY-1"]
    assert (finding.said, finding.utterance_ids) == (True, ("u3",))


async def test_a_customers_words_are_nobodys_violation(mesh: Any, upstream: Upstream) -> None:
    answers(mesh, by_words(단정=1, 철회=1))
    outcome = await judge(upstream, request_of((CUSTOMER, "무조건 수익이 난다면서요.")))
    assert not any(finding.said for finding in outcome.findings.values())
    assert len(outcome.findings) == 4


async def test_of_several_lines_the_first_that_the_model_stands_by_is_the_finding(
    mesh: Any, upstream: Upstream
) -> None:
    def model(prompt: str, wanted: dict[str, Any]) -> Any:
        if "answer" in wanted:
            return standing_by(prompt, wanted, "십오 일" not in prompt)
        return dict.fromkeys(wanted, 0 if "q1" in wanted else 1)

    answers(mesh, model)
    assert (await judge(upstream)).findings["NOT-1"].utterance_ids == ("u4",)


async def test_a_fall_backs_answer_makes_the_stage_degraded(mesh: Any, upstream: Upstream) -> None:
    answers(mesh, by_words(), backends=lambda _: ["vllm", "ollama"])
    report = (await judge(upstream)).report
    assert (report.status, report.backend, report.error_type) == (StageStatus.DEGRADED, "ollama", None)
    assert {row.backend for row in report.attempts} == {"vllm", "ollama"}


async def test_a_group_that_fails_leaves_the_others_and_the_report_counts_them(mesh: Any, upstream: Upstream) -> None:
    def model(prompt: str, wanted: dict[str, Any]) -> Any:
        return JSONResponse({}, 500) if "단정" in prompt else dict.fromkeys(wanted, 0)

    answers(mesh, model)
    outcome = await judge(upstream)
    assert set(outcome.findings) == {"SAY-1", "SAY-2", "CONFIRM-1"}
    assert outcome.report.status is StageStatus.DEGRADED
    assert outcome.report.error_type == FailureType.HTTP_ERROR
    assert outcome.report.error is not None
    assert outcome.report.error.startswith("1 of 4 questions got no answer")


async def test_a_claim_that_could_not_be_asked_about_again_is_no_answer(mesh: Any, upstream: Upstream) -> None:
    def model(prompt: str, wanted: dict[str, Any]) -> Any:
        return JSONResponse({}, 500) if "answer" in wanted else by_words(단정=3)(prompt, wanted)

    answers(mesh, model)
    assert set((await judge(upstream)).findings) == {"SAY-1", "SAY-2", "CONFIRM-1"}


@pytest.mark.parametrize(
    "said",
    [[], {}, "text", {"q1": "1"}, {"q1": None, "q2": 0, "q3": 0}, {"q1": True, "q2": 0, "q3": 0}],
)
async def test_an_answer_of_another_shape_is_none(mesh: Any, upstream: Upstream, said: Any) -> None:
    answers(mesh, lambda _, wanted: said)
    outcome = await judge(upstream)
    assert outcome.findings == {}
    assert (outcome.report.status, outcome.report.error_type) == (StageStatus.DUMMY, FailureType.INVALID_RESPONSE)
    assert outcome.prompt_version is None


async def test_a_number_of_no_line_names_none(mesh: Any, upstream: Upstream) -> None:
    answers(mesh, by_words(철회=99, 단정=-1))
    assert not any(finding.said for finding in (await judge(upstream)).findings.values())


async def test_a_gateway_that_is_down_is_a_dummy_with_the_reason(mesh: Any, upstream: Upstream) -> None:
    attempt = {"backend": "vllm", "outcome": "failed", "error_type": "connect_error", "seconds": 0.2}
    problem = Problem(503, ErrorCode.BACKENDS_FAILED, "vllm is down", attempts=[attempt])
    mesh.answers[CHAT] = problem.response
    report = (await judge(upstream)).report
    assert (report.status, report.error_type) == (StageStatus.DUMMY, FailureType.UNAVAILABLE)
    assert [row.backend for row in report.attempts] == ["vllm"]


async def test_what_needs_no_asking_does_not_hide_that_nobody_answered(mesh: Any, upstream: Upstream) -> None:
    """A customer alone speaks: no line can be the agent's, which settles must_not without the model."""
    answers(mesh, lambda _, wanted: JSONResponse({}, 500))
    outcome = await judge(upstream, request_of((CUSTOMER, "무조건 수익이 난다면서요.")))
    assert (outcome.report.status, outcome.report.error_type) == (StageStatus.DUMMY, FailureType.HTTP_ERROR)


async def test_where_nothing_had_to_be_asked_the_stage_is_well(mesh: Any, upstream: Upstream) -> None:
    call = request_of((CUSTOMER, "무조건 수익이 난다면서요."))
    must_not = [question for question in questions_of(call) if question.element == "NOT-1"]
    outcome = await Judge(Asker(upstream)).judge(RULES, call, must_not)
    assert (outcome.report.status, outcome.report.model) == (StageStatus.OK, None)
    assert not outcome.findings["NOT-1"].said
    assert mesh.seen == []


async def test_a_gateway_that_has_too_much_to_do_is_asked_again(mesh: Any, upstream: Upstream) -> None:
    def model(_: str, wanted: dict[str, Any]) -> Any:
        busy = Problem(503, ErrorCode.OVERLOADED, "too much", headers={"Retry-After": "0"})
        return busy.response() if len(mesh.seen) < TIMES_OVERLOADED else dict.fromkeys(wanted, 0)

    answers(mesh, model)
    outcome = await judge(upstream)
    assert len(outcome.findings) == 4
    assert outcome.report.status is StageStatus.OK


async def test_nothing_said_and_nothing_to_ask_are_skipped_without_a_question(mesh: Any, upstream: Upstream) -> None:
    assert (await judge(upstream, request_of((AGENT, "  ")))).report.status is StageStatus.SKIPPED
    assert (await Judge(Asker(upstream)).judge(RULES, CALL, [])).report.status is StageStatus.SKIPPED
    assert mesh.seen == []


async def test_no_more_are_asked_at_once_than_may_be(mesh: Any, upstream: Upstream) -> None:
    waiting = 0

    def model(_: str, wanted: dict[str, Any]) -> Any:
        nonlocal waiting
        waiting = max(waiting, upstream.bulkhead.in_flight)
        return dict.fromkeys(wanted, 0)

    answers(mesh, model)
    long = request_of(*[(AGENT, "이 상품을 설명해 드리겠습니다. " * 8)] * 40)
    await judge(upstream, long, at_once=2, window_tokens=900)
    assert 1 <= waiting <= 2


async def test_after_the_deadline_nothing_is_asked(mesh: Any, upstream: Upstream) -> None:
    answers(mesh, by_words())
    set_deadline(Deadline.after(0))
    outcome = await judge(upstream)
    assert (outcome.report.status, outcome.report.error_type) == (StageStatus.DUMMY, FailureType.DEADLINE_EXCEEDED)
    assert mesh.seen == []


async def test_a_long_call_is_shown_by_windows_and_its_last_line_is_found(mesh: Any, upstream: Upstream) -> None:
    def model(prompt: str, wanted: dict[str, Any]) -> Any:
        if "answer" in wanted:
            return standing_by(prompt, wanted, "무조건 오릅니다" in prompt)
        line = re.search(r"^\[(\d+)\] 상담원: 무조건 오릅니다", prompt, re.MULTILINE)
        return {key: 1 if line and key == line[1] else 0 for key in wanted}

    answers(mesh, model)
    filler = (AGENT, "오늘 날씨 이야기를 조금 더 하겠습니다. 정말 춥습니다.")
    outcome = await judge(upstream, request_of(*[filler] * 120, (AGENT, "무조건 오릅니다.")), window_tokens=600)
    assert outcome.findings["NOT-1"].utterance_ids == ("u121",)
    assert outcome.findings["SAY-1"] == ModelFinding(False, confidence=NOT_ALL_SEEN, saw_all=False)
    assert all(len(seen["body"]) < 6_000 for seen in mesh.seen)


async def test_a_window_without_answer_leaves_not_said_open_but_not_what_another_found(
    mesh: Any, upstream: Upstream
) -> None:
    def model(prompt: str, wanted: dict[str, Any]) -> Any:
        if "answer" in wanted:
            return standing_by(prompt, wanted)
        if "끝입니다" in prompt:
            return JSONResponse({}, 500)
        return dict.fromkeys(wanted, 1 if found else 0)

    answers(mesh, model)
    call = request_of(*[(AGENT, "이 상품을 설명해 드리겠습니다. " * 8)] * 20, (AGENT, "끝입니다."))
    found = False
    assert "NOT-1" not in (await judge(upstream, call, window_tokens=900)).findings
    found = True
    assert (await judge(upstream, call, window_tokens=900)).findings["NOT-1"].said


@given(st.integers(0, 40))
def test_groups_are_even_and_small_and_lose_nobody(count: int) -> None:
    question = questions_of(CALL)[0]
    asked = [question.model_copy(update={"id": str(n)}) for n in range(count)]
    groups = groups_of(asked)
    assert [one for group in groups for one in group] == asked
    assert all(1 <= len(group) <= GROUP for group in groups)
    assert max(map(len, groups), default=0) - min(map(len, groups), default=0) <= 1


def test_a_short_call_is_shown_whole() -> None:
    jobs = plan(lines_of(CALL.utterances), questions_of(CALL), {}, 1800)
    assert len({job.window for job in jobs}) == 1
    assert all(job.whole for job in jobs)


said = st.lists(st.tuples(st.sampled_from(Speaker), st.text(alphabet="원금 보장.않가", max_size=60)), max_size=8)


@settings(max_examples=200)
@given(said, st.integers(0, 30), st.sampled_from(questions_of(CALL)))
def test_no_finding_names_what_is_not_in_the_utterance_it_names(
    said: list[tuple[Speaker, str]], number: int, question: Question
) -> None:
    """Whatever line a model names: the evidence code finds the quote there, or refuses it."""
    request = request_of(*said)
    window = tuple(lines_of(request.utterances))
    utterances = by_id(request.utterances)
    for place in places_near(window, number, question) if number < len(window) else []:
        finding = finding_of(window, place, question)
        found = verify(finding.quote, finding.utterance_ids, utterances, Judged.MODEL)
        if isinstance(found, Refused):
            assert len(letters(finding.quote)) < 4
        else:
            assert letters(finding.quote) in letters(utterances[found.utterance_id].text)
            assert found.utterance_id in finding.utterance_ids


@given(
    st.text(alphabet="원금 보장수익 .않", max_size=40),
    st.lists(st.sampled_from(["u1", "u2", "u9"]), max_size=3),
    st.text(alphabet="원금 보장수익 .않", max_size=40),
)
def test_a_made_up_finding_passes_only_where_its_quote_is_in_the_utterance_named(
    quote: str, names: list[str], text: str
) -> None:
    utterances = by_id([Utterance(id="u1", text=text), Utterance(id="u2", text="원금 보장은 안 됩니다")])
    found = verify(quote, names, utterances, Judged.MODEL)
    if not isinstance(found, Refused):
        assert found.utterance_id in names
        assert letters(quote) in letters(utterances[found.utterance_id].text)


async def test_those_who_come_while_a_breaker_probes_wait_for_what_becomes_of_it(mesh: Any) -> None:
    """Else a call that heals would get one of its stages, and the next only later."""
    mesh.says(CHAT, {"nothing": "usable"}, 503)
    policy = UpstreamPolicy(retry=RetryPolicy(retries=0), breaker=BreakerPolicy(failures_in_a_row=1, open_seconds=0.01))
    async with aclosing(Upstream("llm-gateway", mesh.url, policy)) as upstream:
        asker = Asker(upstream, at_once=4)

        async def ask() -> object:
            return await asker.ask([], {"properties": {}}, name="x", max_tokens=9, parse=lambda told: True)

        with pytest.raises(UpstreamError):
            await ask()
        while upstream.breaker.retry_after > 0:
            await anyio.lowlevel.checkpoint()
        answers(mesh, lambda asked, wanted: {})
        told = await asyncio.gather(*(ask() for _ in range(4)))
    assert len(told) == 4

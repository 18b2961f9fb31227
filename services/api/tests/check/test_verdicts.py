"""Verdicts: what follows from what rules and the model found. The model here is a table."""

import datetime as dt
from collections.abc import Mapping, Sequence

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chammal_api.check.check import Checker, score_of, totals_of
from chammal_api.check.evidence import letters
from chammal_api.check.findings import JudgeOutcome, ModelFinding
from chammal_api.check.keywords import run_rules
from chammal_api.check.rule_shelf import RuleShelf
from chammal_api.check.rules import Element, Question, RuleSet
from chammal_api.check.verdicts import Case, decide
from chammal_api.outcome import Outcome
from chammal_contracts.checks import (
    CheckRequest,
    CheckResult,
    CheckStatus,
    CustomerType,
    ElementMode,
    ElementResult,
    Judge,
    Polarity,
    ProductType,
    Speaker,
    Utterance,
    Verdict,
)
from chammal_contracts.stages import Stage, StageReport, StageStatus

from .spoken_calls import ROOT, call, fcpa

SHELF = RuleShelf(ROOT / "rules", "fcpa-kr")


class Table:
    """Answers each question by its id; what is not in it got no answer, unless there is a default."""

    def __init__(
        self,
        findings: Mapping[str, ModelFinding] | None = None,
        *,
        default: ModelFinding | None = None,
        status: StageStatus = StageStatus.OK,
    ) -> None:
        self._findings = findings or {}
        self._default = default
        self._status = status
        self.asked: list[str] = []

    async def judge(self, rules: RuleSet, request: CheckRequest, questions: Sequence[Question]) -> JudgeOutcome:
        self.asked = [question.id for question in questions]
        findings = {
            name: finding for name in self.asked if (finding := self._findings.get(name, self._default)) is not None
        }
        report = StageReport(stage=Stage.ANALYSIS, status=self._status, backend="vllm", model="m")
        return JudgeOutcome(findings, report, "p1")


NOT_SAID = ModelFinding(False, confidence=0.7)
NOBODY = Table(status=StageStatus.DUMMY)


def outcome(request: CheckRequest, judge: Table = NOBODY) -> Outcome[CheckResult]:
    return anyio.run(Checker(SHELF, judge).check, request)


def checked(request: CheckRequest, judge: Table = NOBODY) -> CheckResult:
    result = outcome(request, judge).value
    assert result is not None
    return result


def element(name: str, request: CheckRequest, judge: Table = NOBODY) -> ElementResult:
    return next(one for one in checked(request, judge).elements if one.id == name)


def fcpa_element(name: str) -> Element:
    return next(one for one in fcpa().elements if one.id == name)


def said(*ids: str, quote: str = "") -> ModelFinding:
    return ModelFinding(True, ids, quote, 0.8)


def test_without_a_model_a_keyword_that_is_missing_proves_nothing() -> None:
    result = checked(call("a:안녕하세요"))
    assert result.status is CheckStatus.RULES_ONLY
    assert {e.verdict for e in result.elements} == {Verdict.NOT_EVALUATED, Verdict.NOT_APPLICABLE}
    assert result.score is None
    assert result.model is None


def test_without_a_model_a_keyword_that_is_there_is_reported_with_its_words() -> None:
    found = element("SOL-01", call("a:네.", "a:이 상품은 원금이 보장됩니다. 좋습니다."))
    assert (found.verdict, found.judge) == (Verdict.SUSPECTED, Judge.RULE)
    assert [(e.utterance_id, e.quote, e.rule) for e in found.evidence] == [
        ("u1", "이 상품은 원금이 보장됩니다.", "SOL-01.principal")
    ]


def test_with_a_model_what_nobody_said_is_unmet_and_what_must_not_be_said_is_met() -> None:
    request, judge = call("a:안녕하세요"), Table(default=NOT_SAID)
    result = checked(request, judge)
    assert result.status is CheckStatus.COMPLETE
    verdicts = {e.id: e.verdict for e in result.elements}
    assert verdicts["EXP-02"] is Verdict.UNMET
    assert verdicts["SOL-01"] is Verdict.MET
    assert verdicts["TM-02"] is Verdict.UNMET
    assert verdicts["APPR-01"] is Verdict.NOT_APPLICABLE
    assert element("TM-02", request, judge).needs_human


def test_the_model_is_asked_only_for_what_rules_leave_open() -> None:
    judge = Table(default=NOT_SAID)
    checked(call("a:원금 손실이 발생할 수 있습니다.", "a:무조건 이득이에요."), judge)
    assert "EXP-02/loss" not in judge.asked
    assert "EXP-02/grade" in judge.asked
    assert "SOL-01" not in judge.asked
    assert not {"TM-02", "TM-03", "EXP-08", "EXP-04"} & set(judge.asked)


def test_a_part_that_is_missing_makes_it_partly_met_and_is_named() -> None:
    found = element("EXP-02", call("a:원금 손실이 발생할 수 있습니다."), Table(default=NOT_SAID))
    assert found.verdict is Verdict.PARTLY_MET
    assert found.reason is not None
    assert "위험등급" in found.reason
    whole = {"EXP-02/grade": said("u1", quote="제일 위험한 단계예요")}
    request = call("a:원금 손실이 발생할 수 있습니다.", "a:제일 위험한 단계예요.")
    found = element("EXP-02", request, Table(whole, default=NOT_SAID))
    assert (found.verdict, found.judge) == (Verdict.MET, Judge.RULE_AND_MODEL)


@pytest.mark.parametrize(
    "finding",
    [
        said(),
        said("nobody", quote="다른 집 물건은 이만 못해요"),
        said("u0", quote="세상에서 제일 좋아요"),
        said("u1", quote="다른 집 물건은 이만 못해요"),
        said("u0", quote="집"),
        said("u1"),
    ],
)
def test_a_claim_without_words_that_are_there_is_no_verdict_and_says_why(finding: ModelFinding) -> None:
    request = call("a:다른 집 물건은 이만 못해요.", "c:정말요?")
    found = element("SOL-02", request, Table({"SOL-02": finding}, default=NOT_SAID))
    assert found.verdict is Verdict.NOT_EVALUATED
    assert found.reason
    assert found.needs_human
    assert found.evidence == []


def test_a_claim_with_words_that_are_there_is_a_suspicion() -> None:
    request = call("a:다른 집 물건은 이만 못해요.")
    found = element("SOL-02", request, Table({"SOL-02": said("u0", quote="다른집, 물건은 이만 못해요")}))
    assert (found.verdict, found.judge) == (Verdict.SUSPECTED, Judge.MODEL)
    assert found.evidence[0].quote == "다른 집 물건은 이만 못해요."


def test_the_model_is_not_believed_where_the_sentence_denies_it() -> None:
    request = call("a:원금이 보장되지 않습니다.")
    found = element("SOL-01", request, Table({"SOL-01": said("u0", quote="원금이 보장되지")}, default=NOT_SAID))
    assert found.verdict is Verdict.MET
    assert found.needs_human


@pytest.mark.parametrize(
    "name", [one.id for one in fcpa().elements if one.polarity is Polarity.MUST_NOT and one.asks_model]
)
def test_a_suspicion_that_the_model_alone_has_needs_a_human_and_says_so(name: str) -> None:
    product = next(iter(fcpa_element(name).when.products))
    request = call("a:오늘 드릴 말씀이 조금 있습니다.", product=product)
    found = element(name, request, Table({name: said("u0", quote="오늘 드릴 말씀이 조금 있습니다")}, default=NOT_SAID))
    assert (found.verdict, found.judge) == (Verdict.SUSPECTED, Judge.MODEL)
    assert found.needs_human
    assert found.reason is not None
    assert "언어모델만" in found.reason


def test_a_suspicion_of_a_rule_needs_no_human_unless_the_element_says_so() -> None:
    request = call("a:원금이 보장됩니다.")
    found = element("SOL-01", request)
    assert (found.verdict, found.needs_human, found.reason) == (Verdict.SUSPECTED, False, None)
    strict = fcpa_element("SOL-01").model_copy(update={"human": True})
    rules = run_rules(fcpa(), request)
    found = decide(strict, Case(request, 0.5, rules), rules["SOL-01"], {})
    assert (found.needs_human, found.reason) == (True, "사람이 확인해야 하는 항목입니다")


def test_a_call_at_night_needs_a_human_since_a_customer_may_have_asked_for_it_elsewhere() -> None:
    night = dt.datetime.fromisoformat("2026-05-14T21:42:00+09:00")
    found = element("TM-03", call("a:안녕하세요.", started_at=night))
    assert (found.verdict, found.judge, found.needs_human) == (Verdict.SUSPECTED, Judge.METADATA, True)
    assert found.reason == "한국 시각 21:42에 시작한 통화입니다. 사람이 확인해야 하는 항목입니다"
    day = element("TM-03", call("a:안녕하세요.", started_at=night - dt.timedelta(hours=1)))
    assert (day.verdict, day.needs_human) == (Verdict.MET, False)


def test_what_was_looked_for_only_in_the_nearest_lines_of_a_long_call_is_unmet_for_a_human_to_see() -> None:
    judge = Table({"EXP-01": ModelFinding(False, confidence=0.4, saw_all=False)}, default=NOT_SAID)
    found = element("EXP-01", call("a:안녕하세요."), judge)
    assert (found.verdict, found.needs_human) == (Verdict.UNMET, True)
    assert found.reason == "통화가 길어 가까운 부분만 살펴보았습니다"


def test_what_must_be_confirmed_needs_the_customers_answer() -> None:
    judge = Table({"SUIT-02": said("u0", quote="투자 경험이")}, default=NOT_SAID)
    answered = element("SUIT-02", call("a:투자 경험이 있으세요?", "c:펀드를 조금 했어요."), judge)
    assert answered.verdict is Verdict.MET
    assert [e.utterance_id for e in answered.evidence] == ["u0", "u1"]
    assert element("SUIT-02", call("a:투자 경험이 있으세요?", "a:없으시죠."), judge).verdict is Verdict.PARTLY_MET


def test_an_answer_without_its_question_confirms_nothing() -> None:
    request = call("a:오늘 날씨가 좋네요.", "c:네, 알겠습니다.")
    judge = Table({"EXP-09/answered": said("u1", quote="네, 알겠습니다")}, default=NOT_SAID)
    assert element("EXP-09", request, judge).verdict is Verdict.UNMET


def test_a_doubtful_passage_needs_a_human() -> None:
    request = call("a:원금이 보장됩니다.", "a:좋아요.")
    for number in (0, 1):
        utterances = list(request.utterances)
        utterances[number] = utterances[number].model_copy(update={"confidence": 0.2})
        doubtful = request.model_copy(update={"utterances": utterances})
        assert element("SOL-01", doubtful).needs_human
    assert not element("SOL-01", request).needs_human


def test_that_something_was_not_said_needs_a_human_where_much_was_not_understood() -> None:
    heard = [Utterance(id="a", speaker=Speaker.AGENT, text="여보세요 들리세요", confidence=0.2)]
    request = CheckRequest(product_type=ProductType.INVESTMENT, utterances=heard)
    assert element("EXP-01", request, Table(default=NOT_SAID)).needs_human


def test_who_nobody_knows_needs_a_human() -> None:
    found = element("SOL-01", call("u:원금이 보장됩니다."))
    assert found.verdict is Verdict.SUSPECTED
    assert found.needs_human


def test_a_professional_is_not_owed_what_the_law_owes_to_ordinary_consumers() -> None:
    request = call("a:안녕하세요", customer_type=CustomerType.PROFESSIONAL)
    verdicts = {e.id: e.verdict for e in checked(request).elements}
    assert verdicts["EXP-02"] is Verdict.NOT_APPLICABLE
    assert verdicts["SOL-01"] is Verdict.NOT_EVALUATED


def test_a_question_without_an_answer_makes_the_check_partial() -> None:
    result = checked(call("a:안녕하세요"), Table({"EXP-01": NOT_SAID}))
    assert result.status is CheckStatus.PARTIAL
    verdicts = {e.id: e.verdict for e in result.elements}
    assert verdicts["EXP-01"] is Verdict.UNMET
    assert verdicts["SOL-02"] is Verdict.NOT_EVALUATED


def test_where_nothing_was_said_nothing_is_judged_and_nobody_is_asked() -> None:
    judge = Table(default=NOT_SAID)
    for request in (call(), call("a: ", "c:…?")):
        result = outcome(request, judge)
        assert result.value is not None
        assert result.value.status is CheckStatus.NOT_EVALUATED
        assert {e.verdict for e in result.value.elements} == {Verdict.NOT_EVALUATED}
        assert result.report.status is StageStatus.SKIPPED
    assert judge.asked == []


def test_an_unknown_rule_set_is_no_verdict() -> None:
    result = outcome(call("a:네", rule_set="nothing"))
    assert result.value is None
    assert result.failed


SENTENCES = (
    *("원금이 보장됩니다.", "원금이 보장되지 않습니다.", "무조건 이득이에요.", "원금 손실이 발생할 수 있습니다."),
    *(
        "위험등급은 1등급입니다.",
        "이해하셨나요?",
        "네, 이해했습니다.",
        "아니요.",
        "",
        "…",
        "연대보증인을 세우셔야 합니다.",
    ),
    *(
        "연락 금지를 요구하실 수 있습니다.",
        "민원은 금융감독원에 신청하실 수 있고 예금자보호 대상입니다.",
        "성향보다 높은 상품입니다.",
    ),
)
utterance_lists = st.lists(
    st.tuples(
        st.sampled_from(list(Speaker)),
        st.one_of(st.sampled_from(SENTENCES), st.text(max_size=20)),
        st.none() | st.floats(0, 1),
    ),
    max_size=8,
).map(
    lambda rows: [
        Utterance(id=f"u{n}", speaker=speaker, text=text, confidence=confidence)
        for n, (speaker, text, confidence) in enumerate(rows)
    ]
)
requests = st.builds(
    CheckRequest,
    product_type=st.sampled_from(list(ProductType)),
    customer_type=st.none() | st.sampled_from(list(CustomerType)),
    started_at=st.none() | st.datetimes(),
    utterances=utterance_lists,
    model=st.booleans(),
)
model_findings = st.builds(
    ModelFinding,
    said=st.booleans(),
    utterance_ids=st.lists(st.sampled_from([*(f"u{n}" for n in range(9)), "x"]), max_size=3).map(tuple),
    quote=st.sampled_from(SENTENCES) | st.text(max_size=10),
    confidence=st.floats(0, 1),
    saw_all=st.booleans(),
)
questions = [
    question
    for product in ProductType
    for e in fcpa().elements
    for question in e.questions(CheckRequest(product_type=product, utterances=[]))
]
tables = st.builds(
    Table,
    st.dictionaries(st.sampled_from(sorted({question.id for question in questions})), model_findings),
    default=st.none() | model_findings,
    status=st.sampled_from(list(StageStatus)),
)


@settings(max_examples=300, deadline=None)
@given(requests, tables)
def test_whatever_the_model_says_no_verdict_rests_on_words_that_are_not_there(
    request: CheckRequest, judge: Table
) -> None:
    result = checked(request, judge)
    texts = {utterance.id: utterance for utterance in request.utterances}
    for one in result.elements:
        for evidence in one.evidence:
            assert evidence.quote in texts[evidence.utterance_id].text
            assert letters(evidence.quote)
            assert evidence.speaker is texts[evidence.utterance_id].speaker
        if one.verdict is Verdict.SUSPECTED and one.mode is not ElementMode.METADATA:
            assert one.evidence
        if one.verdict is Verdict.SUSPECTED and one.judge is Judge.MODEL:
            assert one.needs_human
            assert "언어모델만" in (one.reason or "")
        if one.verdict in (Verdict.MET, Verdict.PARTLY_MET) and one.polarity is not Polarity.MUST_NOT:
            assert one.evidence
        assert one.verdict is not Verdict.NOT_EVALUATED or one.reason


@settings(max_examples=300, deadline=None)
@given(requests, tables, st.sampled_from([StageStatus.DUMMY, StageStatus.SKIPPED]))
def test_with_dummy_or_skipped_stages_there_is_no_verdict_but_a_keyword_that_was_found(
    request: CheckRequest, judge: Table, status: StageStatus
) -> None:
    judge._status = status
    result = checked(request, judge)
    assert result.status in (CheckStatus.RULES_ONLY, CheckStatus.NOT_EVALUATED)
    for one in result.elements:
        if one.verdict in (Verdict.NOT_EVALUATED, Verdict.NOT_APPLICABLE) or one.mode is ElementMode.METADATA:
            continue
        assert one.verdict is not Verdict.UNMET
        assert one.judge is Judge.RULE
        assert one.evidence
        assert all(evidence.source is Judge.RULE for evidence in one.evidence)
    assert result.model is None


@settings(max_examples=200, deadline=None)
@given(requests, tables)
def test_totals_add_up_and_the_score_leaves_out_what_was_not_judged(request: CheckRequest, judge: Table) -> None:
    result = checked(request, judge)
    totals = result.totals.model_dump()
    needs_human = totals.pop("needs_human")
    assert sum(totals.values()) == len(result.elements) == 24
    assert needs_human == sum(one.needs_human for one in result.elements)
    judged = totals["met"] + totals["partly_met"] + totals["unmet"] + totals["suspected"]
    if judged:
        assert result.score == round(100 * (totals["met"] + totals["partly_met"] / 2) / judged, 1)
    else:
        assert result.score is None
    assert totals_of(result.elements) == result.totals
    assert score_of(result.elements) == result.score

"""Keyword rules, on the rule set that Chammal comes with and on small ones."""

import datetime as dt
from typing import Any

import pytest

from chammal_api.check.keywords import run_rules
from chammal_api.check.rules import Negation, RuleSet
from chammal_api.check.spoken import MAX_HITS
from chammal_contracts.checks import ProductType, Verdict

from .spoken_calls import call, fcpa

DEPOSIT, LOAN, INVESTMENT, INSURANCE = (
    ProductType.DEPOSIT,
    ProductType.LOAN,
    ProductType.INVESTMENT,
    ProductType.INSURANCE,
)


def hits(*said: str, product: ProductType = INVESTMENT) -> dict[str, list[str]]:
    found = run_rules(fcpa(), call(*said, product=product))
    return {name: [hit.rule for hit in finding.hits] for name, finding in found.items() if finding.hits}


def one_rule(rule: dict[str, Any], polarity: str = "must_say") -> RuleSet:
    return RuleSet.model_validate(
        {
            "name": "small",
            "version": "1",
            "title": {"ko": "작은", "en": "small"},
            "negation": {"after": ["{4}지 (않|못)"], "clause_ends": ["되고"]},
            "signals": [{"id": "pitch", "any": ["가입하세요"]}],
            "elements": [
                {
                    "id": "X-1",
                    "name": {"ko": "가", "en": "a"},
                    "article": "1",
                    "mode": "rule",
                    "polarity": polarity,
                    "severity": "low",
                    "rules": [{"id": "X-1.r", **rule}],
                }
            ],
        }
    )


def small(rule: dict[str, Any], *said: str, polarity: str = "must_say") -> list[list[str]]:
    finding = run_rules(one_rule(rule, polarity), call(*said))["X-1"]
    return [[evidence.utterance_id for evidence in hit.evidence] for hit in finding.hits]


@pytest.mark.parametrize(
    "text",
    [
        "원금이 보장되지 않습니다.",
        "원금 보장 안 됩니다.",
        "원금보장이 안 되는 상품이에요.",
        "이 상품은 원금 보장 상품이 아닙니다.",
        "원금이 보장되는 것은 아니고요, 손실이 날 수 있습니다.",
        "원금이 보장된다고 말씀드릴 수는 없습니다.",
        "원금이 보장된다고 말씀드리기는 어렵습니다.",
        "원금 보장이라고 오해하시면 안 됩니다.",
        "원금 보장을 원하시면 예금을 하셔야 합니다.",
        "원금이 보장되는 예금과는 달리 손실이 날 수 있습니다.",
        "원금 보장 여부를 확인해 드릴게요.",
        "원금 보장이 되냐고 물으셨는데요.",
        "확정된 수익이 아닙니다.",
        "확정 수익은 아니고 변동됩니다.",
        "무조건은 아니에요.",
        "무조건 오르는 건 아니고요.",
        "무조건 가입하셔야 되는 건 아닙니다.",
        "과거의 수익률이 미래의 수익을 보장하지 않습니다.",
        "수익을 보장해 드리는 것은 아닙니다.",
        "반드시 수익이 난다고 말씀드릴 수는 없습니다.",
        "불확실한 수익입니다.",
        "수익이 확실하다고 장담은 못 드려요.",
        "손실 볼 일이 없다고는 말씀 못 드립니다.",
        "원금 손실 위험이 없다고 할 수는 없어요.",
        "손해가 없도록 꼼꼼히 안내해 드릴게요.",
        "백 프로 보장되는 상품은 없습니다.",
        "비보장 상품입니다.",
        "원금이 보장된다고 생각하시면 안 됩니다.",
        "투자하시면서 손실 보신 적은 없으세요?",
        "절대 손해 보시면 안 되는 자금인가요?",
        "가입하시기 전에 무조건 약관을 읽어보셔야 됩니다.",
        "수익률은 평가일에 확정됩니다.",
        "원금 보장? 그런 건 없습니다.",
        "저희가 수익을 보장하면 법에 걸려요.",
        "원금의 구십 퍼센트까지만 보장되고 나머지는 손실이 날 수 있어요.",
        "조기상환이 확정되면 수익이 지급됩니다.",
        "보장된 수익이라는 말은 사실이 아니에요.",
        "금리가 오를 수밖에 없는 상황이라서요.",
    ],
)
def test_what_is_denied_asked_or_compared_is_no_promise(text: str) -> None:
    found = hits(f"a:{text}")
    assert "SOL-01" not in found
    assert "ADV-01" not in found


@pytest.mark.parametrize(
    "text",
    [
        "원금 보장 돼요",
        "원금보장 되세요",
        "이건 원금이 보장됩니다",
        "원금은 백 프로 보장되니까 걱정 마세요",
        "원금이 보장되고 손실도 없습니다",
        "무조건 수익 나는 상품이에요",
        "무조건 이득이에요",
        "연 5프로 확정으로 드려요",
        "확정 수익이라고 보시면 됩니다",
        "수익이 확실합니다",
        "100% 수익 보장",
        "반드시 오릅니다",
        "오를 수밖에 없어요",
        "손해 볼 일 절대 없어요",
        "손실 나실 걱정 없으세요",
        "원금 까먹을 일은 없으세요",
        "절대 손실 안 나요",
        "제가 장담합니다",
        "예금이랑 똑같다고 보시면 돼요",
    ],
)
def test_a_promise_is_found_as_agents_speak_it(text: str) -> None:
    assert "SOL-01" in hits(f"a:{text}")


def test_what_the_customer_asks_is_not_what_the_agent_says() -> None:
    assert "SOL-01" not in hits("c:원금 보장되는 거죠?", "a:아니요, 보장되지 않습니다.")


def test_an_agent_who_says_yes_to_a_promise_has_made_it_and_the_question_is_shown_with_it() -> None:
    found = run_rules(fcpa(), call("c:그럼 원금은 보장되는 거예요?", "a:네, 그럼요."))["SOL-01"]
    assert [[e.utterance_id for e in hit.evidence] for hit in found.hits] == [["u0", "u1"]]
    assert "SOL-01" not in hits("c:그럼 원금은 보장 안 되는 거예요?", "a:네, 맞습니다.")


def test_a_sentence_that_the_recogniser_cut_in_two_is_read_as_one() -> None:
    assert "SOL-01" not in hits("a:이 상품은 원금이 보장되는", "a:상품이 아닙니다.")
    found = run_rules(fcpa(), call("a:이 상품은 원금이", "a:보장됩니다."))["SOL-01"]
    assert [e.utterance_id for e in found.hits[0].evidence] == ["u0", "u1"]


def test_a_deposit_may_be_called_safe_for_that_is_what_it_is() -> None:
    assert "SOL-01" not in hits("a:예금자보호법에 따라 원금이 보장됩니다.", product=DEPOSIT)


@pytest.mark.parametrize(
    ("product", "text", "element"),
    [
        (INVESTMENT, "안녕하세요 참말증권 김상담입니다. 펀드 안내 드리려고 전화드렸습니다.", "TM-01"),
        (INVESTMENT, "앞으로 전화를 원치 않으시면 연락 금지를 요구하실 수 있습니다.", "TM-02"),
        (INVESTMENT, "전화가 싫으시면 언제든 그만하라고 말씀하세요.", "TM-02"),
        (LOAN, "한빛캐피탈인데요, 중고차 대출 넣으신 분 맞죠?", "TM-01"),
        (INSURANCE, "그만두시면 낸 돈보다 적게 받으세요.", "EXP-04"),
        (INVESTMENT, "원금 손실이 발생할 수 있고 위험등급은 이 등급입니다.", "EXP-02"),
        (INVESTMENT, "수수료는 연 일 점 이 퍼센트입니다.", "EXP-03"),
        (INSURANCE, "보장 기간은 백 세까지입니다. 중도에 해지하시면 환급금이 적거나 없을 수 있습니다.", "EXP-04"),
        (DEPOSIT, "금리는 연 3.5퍼센트이고 중도 해지하시면 낮은 이율이 적용됩니다. 우대금리 포함입니다.", "EXP-05"),
        (LOAN, "대출 기간은 3년이고 연체하시면 연체이자가 붙고 신용점수가 떨어질 수 있습니다.", "EXP-06"),
        (INSURANCE, "십오 일 이내에 청약을 철회하실 수 있고 고객센터로 신청하시면 낸 돈을 돌려드립니다.", "EXP-07"),
        (DEPOSIT, "이 예금은 예금자보호법에 따라 보호되고 민원은 고객센터로 접수하실 수 있습니다.", "EXP-08"),
        (LOAN, "연대보증인을 세우셔야 대출이 나갑니다.", "UNF-02"),
        (INSURANCE, "하루 천 원이면 됩니다. 하루에 오백 원꼴이에요.", "ADV-01"),
    ],
)
def test_elements_are_found_as_agents_speak_them(product: ProductType, text: str, element: str) -> None:
    assert element in hits(f"a:{text}", product=product)


def test_the_customer_must_answer_and_not_say_no() -> None:
    asked = "a:지금까지 설명드린 내용 이해하셨나요?"

    def parts(*said: str) -> set[str | None]:
        return {hit.part for hit in run_rules(fcpa(), call(*said))["EXP-09"].hits}

    assert parts(asked, "c:네, 이해했어요.") == {"asked", "answered"}
    assert parts(asked, "c:네.") == {"asked", "answered"}
    assert parts("a:이해 안 되신 거 있으세요?", "c:아뇨, 다 이해됐어요.") == {"asked", "answered"}
    assert parts(asked, "c:아니요, 잘 모르겠어요.") == {"asked"}
    assert parts(asked, "a:네, 넘어가겠습니다.") == {"asked"}
    assert parts("a:지금 통화 괜찮으세요?", "c:네.") == set()
    assert parts("a:이해하시기 쉽게 말씀드릴게요.", "c:네.") == set()


def test_a_brush_off_explains_nothing() -> None:
    assert "EXP-03" not in hits("a:수수료가 발생하는데 그건 신경 쓰지 않으셔도 됩니다.")


def test_all_groups_must_stand_within_so_many_turns_of_the_speaker() -> None:
    rule = {"all": [["사과"], ["바나나"]], "within": 2}
    assert small(rule, "a:사과", "c:네", "a:바나나") == [["u0", "u2"]]
    assert small(rule, "a:사과", "a:다른 말.", "a:바나나") == []


def test_order_count_and_place_are_kept() -> None:
    assert small({"any": ["사과"], "before": "pitch"}, "a:사과.", "a:가입하세요.") == [["u0"]]
    assert small({"any": ["사과"], "before": "pitch"}, "a:가입하세요.", "a:사과.") == []
    assert small({"any": ["사과"], "after": "pitch"}, "a:사과.", "a:가입하세요.") == []
    assert small({"any": ["사과"], "after": "pitch"}, "a:가입하세요.", "a:사과.") == [["u1"]]
    assert small({"any": ["사과"], "after": "pitch"}, "a:사과.") == []
    assert small({"any": ["사과"], "min_count": 2}, "a:사과.") == []
    assert small({"any": ["사과"], "min_count": 2}, "a:사과.", "a:사과.") == [["u0"], ["u1"]]
    assert small({"any": ["사과"], "in_first": 1}, "a:네.", "a:사과.") == []


def test_what_follows_can_make_a_hit_or_unmake_it() -> None:
    assert small({"any": ["사과"], "followed_by": {"any": ["네"], "speaker": "customer"}}, "a:사과.", "c:네.") == [
        ["u0", "u1"]
    ]
    assert small({"any": ["사과"], "followed_by": {"any": ["네"], "speaker": "customer"}}, "a:사과.", "a:네.") == []
    assert small({"any": ["사과"], "not_followed_by": {"any": ["취소"], "within": 1}}, "a:사과.", "a:취소.") == []


def test_what_goes_before_can_unmake_a_hit() -> None:
    rule = {"any": ["하루"], "not_preceded_by": {"any": ["입원"], "within": 1}}
    assert small(rule, "a:입원하시면요.", "a:하루 만 원.") == []
    assert small(rule, "a:보험료는요.", "a:하루 만 원.") == [["u1"]]


def test_a_denial_in_another_clause_denies_nothing() -> None:
    rule = {"any": ["보장"]}
    assert small(rule, "a:보장되지 않습니다", polarity="must_not") == []
    assert small(rule, "a:보장되고 잃지 않습니다", polarity="must_not") == [["u0"]]
    assert small(rule, "a:보장됩니다. 하지 않습니다.", polarity="must_not") == [["u0"]]
    assert small(rule, "a:보장되지 않습니다", polarity="must_say") == [["u0"]]


def test_a_sentence_that_reports_or_warns_claims_nothing_of_what_must_not_be_said() -> None:
    def found(polarity: str, *said: str) -> int:
        rules = one_rule({"any": ["보장"]}, polarity)
        rules = rules.model_copy(update={"negation": Negation(unclaimed=("다는 {2}전화",))})
        return len(run_rules(rules, call(*said))["X-1"].hits)

    assert found("must_not", "a:보장된다는 그런 전화") == 0
    assert found("must_not", "a:보장됩니다. 다는 전화") == 1
    assert found("must_say", "a:보장된다는 그런 전화") == 1


def test_an_utterance_that_denies_is_remembered_against_the_model() -> None:
    finding = run_rules(one_rule({"any": ["보장"]}, "must_not"), call("a:보장되지 않습니다"))["X-1"]
    assert finding.cleared == {"u0"}


def test_a_speaker_nobody_knows_fits_and_is_told_of() -> None:
    (hit,) = run_rules(one_rule({"any": ["사과"]}), call("u:사과"))["X-1"].hits
    assert not hit.speaker_known


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        ("2026-03-02T20:59:59+09:00", Verdict.MET),
        ("2026-03-02T21:00:00+09:00", Verdict.SUSPECTED),
        ("2026-03-02T07:59:00+09:00", Verdict.SUSPECTED),
        ("2026-03-02T08:00:00+09:00", Verdict.MET),
        ("2026-03-02T12:30:00+00:00", Verdict.SUSPECTED),
        ("2026-03-02T03:00:00Z", Verdict.MET),
        ("2026-03-02T23:00:00", Verdict.SUSPECTED),
        ("0001-01-01T00:00:00+14:00", Verdict.NOT_EVALUATED),
        (None, Verdict.NOT_EVALUATED),
    ],
)
def test_the_hour_is_korean(at: str | None, verdict: Verdict) -> None:
    started = dt.datetime.fromisoformat(at) if at else None
    assert run_rules(fcpa(), call("a:안녕하세요", started_at=started))["TM-03"].verdict is verdict


def test_a_phrase_said_without_end_is_bounded_work() -> None:
    request = call(*(["a:원금 보장 원금 보장 원금 보장 원금 보장"] * (MAX_HITS * 2)))
    assert len(run_rules(fcpa(), request)["SOL-01"].hits) <= 10

"""The rules of the Korean law on single turns: what is near to a violation is none, and a blunt one is found."""

from pathlib import Path

import pytest
import yaml

from chammal_api.check.keywords import run_rules
from chammal_contracts.checks import Polarity, ProductType

from .spoken_calls import call, fcpa

SENTENCES = yaml.safe_load((Path(__file__).parent / "near_misses.yaml").read_text(encoding="utf-8"))
MUST_NOT = [one.id for one in fcpa().elements if one.polarity is Polarity.MUST_NOT]
Said = str | list[str]


def suspicions(product: str, said: Said) -> list[str]:
    lines = [f"a:{said}"] if isinstance(said, str) else said
    found = run_rules(fcpa(), call(*lines, product=ProductType(product)))
    return [hit.rule for name in MUST_NOT if name in found for hit in found[name].hits]


def cases(*kinds: str) -> list[tuple[str, list[Said]]]:
    return [(product, said) for kind in kinds for product, said in SENTENCES[kind].items()]


@pytest.mark.parametrize(("product", "texts"), cases("harmless", "harmless_in_context"))
def test_what_is_denied_reported_asked_wished_for_or_warned_of_is_no_violation(product: str, texts: list[Said]) -> None:
    assert {str(said): rules for said in texts if (rules := suspicions(product, said))} == {}


@pytest.mark.parametrize(("product", "texts"), cases("violating", "violating_in_context"))
def test_a_blunt_violation_is_found(product: str, texts: list[Said]) -> None:
    assert [said for said in texts if not suspicions(product, said)] == []


@pytest.mark.parametrize("asked_by", ["a", "c"])
def test_a_call_at_night_that_the_customer_asked_for_is_excused_however_it_is_put(asked_by: str) -> None:
    words = (
        "아홉 시 넘어서 다시 걸어 달라고 하셔서 연락드립니다" if asked_by == "a" else "이 시간에 전화 달라고 했잖아요"
    )
    assert run_rules(fcpa(), call(f"{asked_by}:{words}"))["call_was_asked_for"].hits


@pytest.mark.parametrize(
    "words",
    [
        "a:근무 끝나고 열 시 지나서 달라고 하셔서 전화드려요",
        "c:제가 아까 그 시간에 하라고 했죠",
    ],
)
def test_an_hour_that_was_agreed_on_excuses_a_call_at_night(words: str) -> None:
    assert run_rules(fcpa(), call(words))["call_was_asked_for"].hits


@pytest.mark.parametrize(
    "words", ["c:이 밤에 무슨 전화예요", "c:다시는 전화하지 말라고 했잖아요", "c:누가 이 시간에 전화하래요"]
)
def test_a_customer_who_complains_of_the_hour_has_not_asked_for_it(words: str) -> None:
    assert not run_rules(fcpa(), call(words))["call_was_asked_for"].hits


def test_a_statement_that_ends_like_a_question_is_none() -> None:
    """A question ends in -나요, and so does "손해가 나요": a list of endings took promises for questions."""
    assert suspicions("투자성", "석 달만 넣어만 두시면 알아서 돈이 불어나요")
    assert not suspicions("투자성", "원금이 보장되는 상품이 있나요")

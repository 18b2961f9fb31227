"""The rules of the Korean law on single sentences: what is near to a violation is none, and a blunt one is found."""

from pathlib import Path

import pytest
import yaml

from chammal_api.check.keywords import run_rules
from chammal_contracts.checks import Polarity, ProductType

from .spoken_calls import call, fcpa

SENTENCES = yaml.safe_load((Path(__file__).parent / "near_misses.yaml").read_text(encoding="utf-8"))
MUST_NOT = [one.id for one in fcpa().elements if one.polarity is Polarity.MUST_NOT]


def suspicions(product: str, text: str) -> list[str]:
    found = run_rules(fcpa(), call(f"a:{text}", product=ProductType(product)))
    return [hit.rule for name in MUST_NOT if name in found for hit in found[name].hits]


@pytest.mark.parametrize(("product", "texts"), SENTENCES["harmless"].items(), ids=SENTENCES["harmless"].keys())
def test_what_is_denied_reported_asked_wished_for_or_warned_of_is_no_violation(product: str, texts: list[str]) -> None:
    assert {text: rules for text in texts if (rules := suspicions(product, text))} == {}


@pytest.mark.parametrize(("product", "texts"), SENTENCES["violating"].items(), ids=SENTENCES["violating"].keys())
def test_a_blunt_violation_is_found(product: str, texts: list[str]) -> None:
    assert [text for text in texts if not suspicions(product, text)] == []


@pytest.mark.parametrize("asked_by", ["a", "c"])
def test_a_call_at_night_that_the_customer_asked_for_is_excused_however_it_is_put(asked_by: str) -> None:
    words = (
        "아홉 시 넘어서 다시 걸어 달라고 하셔서 연락드립니다" if asked_by == "a" else "이 시간에 전화 달라고 했잖아요"
    )
    assert run_rules(fcpa(), call(f"{asked_by}:{words}"))["call_was_asked_for"].hits

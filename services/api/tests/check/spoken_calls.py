"""Calls in short: `a: …` is the agent, `c: …` the customer, `u: …` nobody knows who."""

from functools import cache
from pathlib import Path
from typing import Any

from chammal_api.check.rule_shelf import read_rules
from chammal_api.check.rules import RuleSet
from chammal_contracts.checks import CheckRequest, ProductType, Speaker, Utterance

ROOT = Path(__file__).parents[4]
_SPEAKERS = {"a": Speaker.AGENT, "c": Speaker.CUSTOMER, "u": Speaker.UNKNOWN}


@cache
def fcpa() -> RuleSet:
    return read_rules(ROOT / "rules" / "fcpa-kr.yaml")


def call(*said: str, product: ProductType = ProductType.INVESTMENT, **more: Any) -> CheckRequest:
    lines = [line.partition(":") for line in said]
    return CheckRequest(
        product_type=product,
        utterances=[
            Utterance(id=f"u{number}", speaker=_SPEAKERS[who], start=number * 4.0, end=number * 4.0 + 3, text=text)
            for number, (who, _, text) in enumerate(lines)
        ],
        **more,
    )

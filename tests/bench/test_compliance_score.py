"""A bench that counts wrongly would praise a wrong check."""

import pytest
from bench.compliance.labels import ELEMENTS, LabelledCall, load
from bench.compliance.score import Score, score

from chammal_contracts.checks import (
    CheckResult,
    CheckStatus,
    Evidence,
    Judge,
    Speaker,
    Verdict,
)
from tests import sample_calls

CALL = next(call for call in load() if call.id == "l02")
FORCED = "u3"


def result(verdicts: dict[str, Verdict], quotes: dict[str, tuple[str, str]]) -> CheckResult:
    elements = [
        sample_calls.element(
            element,
            verdicts.get(element, Verdict.NOT_EVALUATED),
            evidence=[
                Evidence(utterance_id=said, speaker=Speaker.AGENT, quote=quote, source=Judge.RULE)
                for said, quote in [quotes[element]]
            ]
            if element in quotes
            else [],
        )
        for element in ELEMENTS
    ]
    return sample_calls.check(*elements, status=CheckStatus.RULES_ONLY)


def scored(verdicts: dict[str, Verdict], quotes: dict[str, tuple[str, str]], call: LabelledCall = CALL) -> Score:
    return score([call], {call.id: result(verdicts, quotes)})


def test_a_suspicion_at_the_labelled_words_is_right() -> None:
    made = scored({"UNF-01": Verdict.SUSPECTED}, {"UNF-01": (FORCED, "적금 하나는 같이 드셔야")})
    assert (made.must_not.right, made.must_not.wrong, made.quotes_not_there) == (1, 0, 0)
    assert made.at_label.right == 1


def test_a_suspicion_of_what_was_not_done_is_wrong_and_is_shown() -> None:
    made = scored({"SOL-02": Verdict.SUSPECTED}, {"SOL-02": ("u1", "동행은행")})
    assert (made.must_not.right, made.must_not.wrong) == (0, 1)
    assert made.must_not.precision == 0.0
    assert ("SOL-02", CALL.request.utterances[0].text) in [(m.element, m.said) for m in made.mistakes]


def test_a_must_not_that_is_met_is_no_claim() -> None:
    assert scored({"SOL-02": Verdict.MET}, {}).must_not.wrong == 0


@pytest.mark.parametrize(
    "where", [("u4", "적금 하나는 같이 드셔야"), ("u3", "예금 하나는"), ("u999", "적금"), ("u3", " .")]
)
def test_a_quote_that_is_not_in_the_utterance_named_is_counted(where: tuple[str, str]) -> None:
    assert scored({"UNF-01": Verdict.SUSPECTED}, {"UNF-01": where}).quotes_not_there == 1


def test_a_verdict_that_needs_words_and_quotes_none_is_counted() -> None:
    made = scored({"TM-01": Verdict.MET, "TM-03": Verdict.SUSPECTED, "SOL-01": Verdict.MET}, {})
    assert made.claims_without_quote == 1


def test_what_is_not_evaluated_is_missed_and_never_wrong() -> None:
    made = scored({}, {})
    assert (made.total.right, made.total.wrong) == (0, 0)
    assert made.total.missed == sum(label.truth.positive for label in CALL.labels.values())

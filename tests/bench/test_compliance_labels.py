"""The labelled calls are the measure of the check, so they are checked themselves."""

from collections import Counter

import pytest
from bench.compliance.labels import ELEMENTS, MUST_NOT, LabelledCall, Split, Truth, load

from chammal_contracts.checks import ProductType, Speaker

CALLS = load()
SHOULD_BE_COUNTED = (Truth.NOT_SAID, Truth.CLEAN)


def test_there_are_enough_calls_of_every_product_with_a_third_held_out() -> None:
    assert len(CALLS) >= 44
    assert min(Counter(call.request.product_type for call in CALLS)[product] for product in ProductType) >= 10
    splits = Counter(call.split for call in CALLS)
    assert 0.25 < splits[Split.TEST] / (splits[Split.DEV] + splits[Split.TEST]) < 0.4
    assert splits[Split.FRESH] >= 24


def test_no_two_calls_have_one_name_or_the_same_words() -> None:
    assert len({call.id for call in CALLS}) == len(CALLS)
    assert len({" ".join(u.text for u in call.request.utterances) for call in CALLS}) == len(CALLS)


def test_one_call_is_long() -> None:
    assert max(len(call.request.utterances) for call in CALLS) >= 150


@pytest.mark.parametrize("element", ELEMENTS)
def test_every_element_is_shown_and_missed_often_enough_to_be_measured(element: str) -> None:
    truths = [call.labels[element].truth for call in CALLS]
    assert sum(truth.positive for truth in truths) >= 3
    assert sum(truth in SHOULD_BE_COUNTED for truth in truths) >= 5


@pytest.mark.parametrize("element", ELEMENTS)
def test_every_element_is_shown_in_every_split_but_the_blind_ones_whose_authors_were_told_of_no_gap(
    element: str,
) -> None:
    shown = {call.split for call in CALLS if call.labels[element].truth.positive}
    assert shown >= {Split.DEV, Split.TEST, Split.FRESH}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
def test_a_call_runs_forward_in_time_and_its_labels_name_its_utterances(call: LabelledCall) -> None:
    ids = [utterance.id for utterance in call.request.utterances]
    times = [second for u in call.request.utterances for second in (u.start, u.end) if second is not None]
    assert len(times) == 2 * len(ids)
    assert times == sorted(times)
    assert call.request.started_at is not None
    assert call.request.started_at.utcoffset() is not None
    for label in call.labels.values():
        assert label.utterance_ids <= set(ids)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
def test_only_the_agent_violates(call: LabelledCall) -> None:
    speakers = {utterance.id: utterance.speaker for utterance in call.request.utterances}
    for element in MUST_NOT:
        assert {speakers[shown] for shown in call.labels[element].utterance_ids} <= {Speaker.AGENT}

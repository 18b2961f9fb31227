import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chammal_api.check.evidence import (
    MIN_QUOTE_CHARACTERS,
    Refusal,
    Refused,
    by_id,
    find,
    letters,
    sentences,
    verify,
)
from chammal_contracts.checks import Evidence, Judge, Speaker, Utterance

DENIED = "이 상품은 원금이 보장되지 않습니다."
UTTERANCES = by_id(
    [
        Utterance(
            id="u1", speaker=Speaker.AGENT, start=1, end=4, text="안녕하세요. 이 상품은 원금이 보장되지 않습니다."
        ),
        Utterance(id="u2", speaker=Speaker.CUSTOMER, text="무조건 수익이 난다면서요?", confidence=0.4),
        Utterance(id="u3", text="무조건 수익이 납니다!"),
    ]
)


def check(quote: str | None, *names: str, speakers: tuple[Speaker, ...] = ()) -> Evidence | Refused:
    return verify(quote, names, UTTERANCES, Judge.MODEL, speakers=speakers)


def test_a_quote_is_shown_in_the_transcripts_words_with_who_said_it_and_when() -> None:
    found = check("이 상품은, 원금이 보장되지않습니다", "u1")
    assert found == Evidence(
        utterance_id="u1", speaker=Speaker.AGENT, start=1, end=4, source=Judge.MODEL,
        quote=DENIED,
    )  # fmt: skip


def test_a_quote_that_stops_before_the_denial_is_shown_with_the_denial() -> None:
    found = check("원금이 보장", "u1")
    assert isinstance(found, Evidence)
    assert found.quote == DENIED


def test_the_confidence_of_the_recognition_stays_with_the_quote() -> None:
    found = check("무조건 수익이", "u2")
    assert isinstance(found, Evidence)
    assert found.confidence == 0.4


@pytest.mark.parametrize(
    ("quote", "names", "speakers", "why"),
    [
        (None, ("u1",), (), Refusal.NO_QUOTE),
        ("  ", ("u1",), (), Refusal.NO_QUOTE),
        ("안녕", ("u1",), (), Refusal.TOO_SHORT),
        ("...!?", ("u1",), (), Refusal.TOO_SHORT),
        ("원금이 보장", (), (), Refusal.NO_UTTERANCE),
        ("원금이 보장", ("u9",), (), Refusal.NO_UTTERANCE),
        ("원금이 보장됩니다", ("u1",), (), Refusal.NOT_FOUND),
        ("원금이 보장", ("u2", "u3"), (), Refusal.NOT_FOUND),
        ("무조건 수익이", ("u2",), (Speaker.AGENT,), Refusal.WRONG_SPEAKER),
    ],
)
def test_what_is_no_evidence_is_refused_with_the_reason(
    quote: str | None, names: tuple[str, ...], speakers: tuple[Speaker, ...], why: Refusal
) -> None:
    refused = check(quote, *names, speakers=speakers)
    assert refused == Refused(why)
    assert isinstance(refused, Refused)
    assert refused.reason


def test_the_first_named_utterance_whose_speaker_fits_is_taken_and_an_unknown_one_fits() -> None:
    found = check("무조건 수익이", "u2", "u3", speakers=(Speaker.AGENT,))
    assert isinstance(found, Evidence)
    assert found.utterance_id == "u3"


def test_composed_and_decomposed_and_wide_letters_are_the_same() -> None:
    assert find(unicodedata.normalize("NFD", "원금이 보장"), "원금이 보장됩니다") == "원금이 보장됩니다"
    assert find("원금이 보장", unicodedata.normalize("NFD", "원금이 보장됩니다")) == "원금이 보장됩니다"
    assert find("ABC 3.5%", "ａｂｃ ３．５ 퍼센트") == "ａｂｃ ３．５ 퍼센트"


@given(st.text(max_size=200))
def test_sentences_are_literal_parts_that_hold_every_letter(text: str) -> None:
    parts = sentences(text)
    assert all(text[one.start : one.end] == one.text == one.text.strip() != "" for one in parts)
    assert letters("".join(one.text for one in parts)) == letters(text)


words = st.text(alphabet="원금보장손실 .?!않가A１é\u1100\u1161\u11a8", max_size=30)


@given(words, words, st.sampled_from(["a", "b", "c"]))
@example("원금", "원금 보장. 손실", "a")
def test_whatever_passes_is_found_letter_by_letter_in_the_utterance_named(quote: str, text: str, name: str) -> None:
    utterances = by_id([Utterance(id="a", text=text), Utterance(id="b", text="다른 말을 했습니다")])
    found = verify(quote, [name], utterances, Judge.MODEL)
    if isinstance(found, Evidence):
        assert found.utterance_id == name
        assert letters(quote) in letters(found.quote)
        assert letters(found.quote) in letters(utterances[name].text)
        assert len(letters(quote)) >= MIN_QUOTE_CHARACTERS
    else:
        assert (
            name not in utterances
            or letters(quote) not in letters(utterances[name].text)
            or len(letters(quote)) < MIN_QUOTE_CHARACTERS
        )

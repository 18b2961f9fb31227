from hypothesis import given
from hypothesis import strategies as st

from chammal_api.check.windows import (
    LINE_TOKENS,
    MAX_LINE_CHARACTERS,
    OVERLAP,
    Line,
    cover,
    estimate_tokens,
    lines_of,
    relevant,
    text_of,
)
from chammal_contracts.checks import Speaker, Utterance

BUDGET = 4 * MAX_LINE_CHARACTERS + LINE_TOKENS + 1
"""What the costliest single line can need."""

utterances = st.lists(
    st.builds(
        Utterance,
        id=st.text(alphabet="abc123", min_size=1, max_size=4),
        speaker=st.sampled_from(Speaker),
        text=st.text(alphabet="원금 보장은 안 됩니다.? \n5a😀", max_size=600),
    ),
    max_size=25,
)


def call(*texts: str) -> list[Line]:
    return lines_of(Utterance(id=f"u{n}", speaker=Speaker.AGENT, text=text) for n, text in enumerate(texts, 1))


@given(utterances)
def test_lines_are_literal_parts_of_their_utterance_and_together_all_of_it(said: list[Utterance]) -> None:
    lines = lines_of(said)
    assert all(0 < len(line.text) <= MAX_LINE_CHARACTERS for line in lines)
    assert all(any(u.id == line.utterance_id and line.text in u.text for u in said) for line in lines)
    assert "".join("".join(line.text.split()) for line in lines) == "".join("".join(u.text.split()) for u in said)


@given(utterances, st.integers(BUDGET, 3 * BUDGET))
def test_windows_cover_every_line_and_none_exceeds_its_budget(said: list[Utterance], budget: int) -> None:
    lines = lines_of(said)
    windows = cover(lines, budget)
    assert {id(line) for window in windows for line in window} == {id(line) for line in lines}
    assert all(sum(line.tokens for line in window) <= budget for window in windows)
    assert windows == cover(lines, budget)


@given(utterances, st.lists(st.text(alphabet="원금보장 a5", max_size=8), max_size=4), st.integers(0, 2 * BUDGET))
def test_the_relevant_lines_stay_in_order_and_within_the_budget(
    said: list[Utterance], phrases: list[str], budget: int
) -> None:
    lines = lines_of(said)
    window = relevant(lines, phrases, budget)
    assert sum(line.tokens for line in window) <= budget
    places = [next(place for place, one in enumerate(lines) if one is line) for line in window]
    assert places == sorted(set(places))
    assert window == relevant(lines, phrases, budget)


def test_a_phrase_brings_its_line_with_the_answer_to_it() -> None:
    digression = "오늘 날씨가 참 춥네요."
    lines = call(*[digression] * 40, "청약 철회는 십오 일 안에 됩니다.", "네, 그렇군요.", *[digression] * 40)
    window = relevant(lines, ["청약철회"], 6 * lines[0].tokens)
    assert {"u40", "u41", "u42"} <= {line.utterance_id for line in window}


def test_nothing_that_fits_brings_the_beginning_of_the_call() -> None:
    lines = call(*[f"말 {n}" for n in range(30)])
    assert relevant(lines, [], 3 * lines[0].tokens)[0] is lines[0]


def test_neighbouring_windows_share_lines() -> None:
    lines = call(*["가" * 50] * 30)
    first, second, *_ = cover(lines, 10 * lines[0].tokens)
    assert first[-OVERLAP:] == second[:OVERLAP]
    assert first[-1] is second[OVERLAP - 1]


def test_a_long_utterance_is_cut_at_the_ends_of_its_sentences() -> None:
    sentence = "이 상품은 예금자보호법에 따라 보호되지 않습니다."
    lines = call(" ".join([sentence] * 20))
    assert len(lines) > 1
    assert all(line.text.endswith(".") for line in lines)


def test_korean_costs_about_a_token_a_syllable_and_rare_characters_their_bytes() -> None:
    assert estimate_tokens("가나다라") == 5
    assert estimate_tokens("2026") == 5
    assert estimate_tokens("😀") == 5
    assert estimate_tokens("") == 1


def test_a_call_as_text_names_its_speakers_where_they_are_known() -> None:
    said = [Utterance(id="a", speaker=Speaker.CUSTOMER, text="네"), Utterance(id="b", text="그래요")]
    assert text_of(lines_of(said)) == "customer: 네\n그래요"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chammal_api.check.phrase import compile_phrase, letters_of


def found(phrase: str, text: str) -> bool:
    return compile_phrase(phrase).pattern.search(letters_of(text)) is not None


@pytest.mark.parametrize("text", ["원금 보장됩니다", "원금이 보장돼요", "원금은 100% 보장된", "원 금 보 장 됩 니 다."])
def test_white_space_punctuation_and_particles_do_not_matter(text: str) -> None:
    assert found("원금 * 보장 (된|됩|돼)", text)


def test_a_gap_is_as_long_as_it_says_and_no_longer() -> None:
    assert found("원금 {3} 손실", "원금에도 손실")
    assert not found("원금 {3} 손실", "원금에 대한 큰 손실")


def test_a_phrase_may_have_many_short_gaps_or_a_few_long_ones() -> None:
    assert found("저희 {2} 업계 {2} 제일 {2} 싼 {2} 곳", "저희가 업계에서 제일 값싼 그 곳")
    with pytest.raises(ValueError, match="too many or too long gaps"):
        compile_phrase("저희 {20} 업계 {20} 제일 {20} 싼 {2} 곳")


@pytest.mark.parametrize("text", ["연 3.5% 금리", "연 3 % 금리", "연 삼점오 프로 금리", "연 십이 퍼센트 금리"])
def test_numbers_are_found_in_digits_and_as_they_are_spoken(text: str) -> None:
    assert found("연 # (%|프로|퍼센트)", text)


def test_an_anchor_holds_a_phrase_to_the_beginning_or_the_end_of_a_sentence() -> None:
    pattern = compile_phrase("^네 알겠").pattern
    assert pattern.search("네알겠습니다")
    assert pattern.search("다른말\n네알겠습니다")
    assert not pattern.search("동네알겠습니다")
    assert compile_phrase("되나요$").pattern.search("보장되나요\n다음")
    assert not compile_phrase("되나요$").pattern.search("보장되나요다음")


@pytest.mark.parametrize("phrase", ["보험료 #", "보험료 # {4}", "보험료 #*", "보험료 # {2} {3}"])
def test_a_number_without_its_unit_is_refused_for_it_is_found_within_words(phrase: str) -> None:
    """A rule `하루로 나눠 #` was found in "하루로 나눠 보시면 적어 보여서 오해하실 수 있어요": 오 is a five."""
    with pytest.raises(ValueError, match="what is counted"):
        compile_phrase(phrase)


@pytest.mark.parametrize(
    "phrase",
    ["", "*", "#", "(가|)", "원금 (", "원금 (하나)", "a{0}b", "a{99}b", "가{20}나{20}다{20}라{1}마", "(a*|b)c", "a|b"],
)
def test_a_phrase_that_is_wrong_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError):
        compile_phrase(phrase)


@given(st.text(max_size=40))
def test_any_text_compiles_or_is_refused_and_a_match_holds_one_of_the_needles(text: str) -> None:
    try:
        compiled = compile_phrase(text)
    except ValueError:
        return
    letters = letters_of(text)
    if compiled.pattern.search(letters):
        assert compiled.may_be_in(letters)

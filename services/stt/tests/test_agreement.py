import random

from chammal_stt.live.agreement import Agreement, _prefix_edits, text
from chammal_stt.messages import RecognisedWord


def words(said: str, probability: float = 0.9, joint: str = " ") -> list[RecognisedWord]:
    return [RecognisedWord(joint + word, 0, 1, probability) for word in (said.split() if joint else said)]


def hear(agreement: Agreement, said: str, probability: float = 0.9, joint: str = " ") -> tuple[str, str]:
    agreed = agreement.hear(words(said, probability, joint))
    return agreed.stable, agreed.text


def test_what_three_tries_agree_on_is_stable_but_for_the_last_word_which_may_be_cut() -> None:
    agreement = Agreement()
    assert hear(agreement, "보험료는 매달") == ("", "보험료는 매달")
    assert hear(agreement, "보험료는 매달 삼만") == ("", "보험료는 매달 삼만")
    assert hear(agreement, "보험료는 매달 삼만 원") == ("보험료는 매달", "보험료는 매달 삼만 원")
    assert hear(agreement, "보험료는 매달 삼만 원입니다") == ("보험료는 매달 삼만", "보험료는 매달 삼만 원입니다")


def test_stable_text_stays_though_a_later_try_says_otherwise() -> None:
    agreement = Agreement()
    for said in ("the cat sat", "the cat sat on", "the cat sat on", "the hat sat on the"):
        stable, shown = hear(agreement, said)
    assert stable == "the cat sat on"
    assert shown == "the cat sat on the"


def test_a_later_try_with_fewer_or_more_words_neither_repeats_nor_skips() -> None:
    agreement = Agreement()
    for said in ("a b c d e f", "a b c d e f", "a b c d e f", "ab c d e f g h"):
        stable, shown = hear(agreement, said)
    assert shown == "a b c d e f g h"
    for said in ("x y", ""):
        stable, shown = hear(agreement, said)
        assert stable == "a b c d e f"
        assert shown.startswith(stable)


def test_a_final_begins_with_what_is_stable_and_goes_on_with_its_own_words() -> None:
    agreement = Agreement()
    for _ in range(3):
        hear(agreement, "ask not what your country can do for you")
    final = "And ask not what your count can do for you ask what you can do for your country"
    assert text(agreement.conclude(words(final))) == (
        "ask not what your country can do for you ask what you can do for your country"
    )
    assert text(agreement.conclude([])) == "ask not what your country can do for"


def test_a_word_that_comes_twice_is_not_taken_for_its_later_place() -> None:
    agreement = Agreement()
    for _ in range(3):
        hear(agreement, "네 고객님")
    assert agreement.stable == "네"
    assert text(agreement.conclude(words("네 고객님 가입은 네 됩니다"))) == "네 고객님 가입은 네 됩니다"


def test_case_and_punctuation_make_no_difference() -> None:
    agreement = Agreement()
    hear(agreement, "well, I think so")
    hear(agreement, "well I think so")
    assert hear(agreement, "Well I think, so do you")[0] == "Well I think, so"


def test_a_word_that_the_model_doubts_waits() -> None:
    agreement = Agreement()
    for _ in range(4):
        assert hear(agreement, "각도운 역이 무슨", probability=0.4)[0] == ""


def test_scripts_without_spaces_are_joined_without_them() -> None:
    agreement = Agreement()
    hear(agreement, "今日は天気", joint="")
    hear(agreement, "今日は天気", joint="")
    assert hear(agreement, "今日は天気が", joint="") == ("今日は天気", "今日は天気が")


def test_letters_are_compared_as_levenshtein_does_for_every_prefix() -> None:
    draw = random.Random(3)
    for _ in range(200):
        said, again = ("".join(draw.choices("ab", k=draw.randrange(7))) for _ in range(2))
        assert _prefix_edits(said, again) == [levenshtein(said, again[:end]) for end in range(len(again) + 1)]


def levenshtein(left: str, right: str) -> int:
    if not left or not right:
        return len(left) + len(right)
    kept = levenshtein(left[1:], right[1:]) + (left[0] != right[0])
    return min(kept, levenshtein(left[1:], right) + 1, levenshtein(left, right[1:]) + 1)

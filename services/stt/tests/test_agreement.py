from chammal_stt.live.agreement import Agreement
from chammal_stt.messages import RecognisedWord


def hear(agreement: Agreement, text: str, probability: float = 0.9, joint: str = " ") -> tuple[str, str]:
    words = [RecognisedWord(joint + word, 0, 1, probability) for word in (text.split() if joint else text)]
    agreed = agreement.hear(words)
    return agreed.stable, agreed.text


def test_what_two_tries_agree_on_is_stable_but_for_the_last_word_which_may_be_cut() -> None:
    agreement = Agreement()
    assert hear(agreement, "보험료는 매달") == ("", "보험료는 매달")
    assert hear(agreement, "보험료는 매달 삼만") == ("보험료는 매달", "보험료는 매달 삼만")
    assert hear(agreement, "보험료는 매달 삼만 원입니다") == ("보험료는 매달 삼만", "보험료는 매달 삼만 원입니다")


def test_stable_text_stays_though_a_later_try_says_otherwise() -> None:
    agreement = Agreement()
    for text in ("the cat sat", "the cat sat on", "the hat sat on the"):
        stable, shown = hear(agreement, text)
    assert stable == "the cat sat on"
    assert shown == "the cat sat on the"


def test_a_later_try_with_fewer_or_more_words_neither_repeats_nor_skips() -> None:
    agreement = Agreement()
    for text in ("a b c d e", "a b c d e f", "ab c d e f g h"):
        stable, shown = hear(agreement, text)
    assert shown == "a b c d e f g h"
    for text in ("x y", ""):
        stable, shown = hear(agreement, text)
        assert stable == "a b c d e f"
        assert shown.startswith(stable)


def test_case_and_punctuation_make_no_difference() -> None:
    agreement = Agreement()
    hear(agreement, "well, I think so")
    assert hear(agreement, "Well I think, so do you")[0] == "Well I think, so"


def test_a_word_that_the_model_doubts_waits() -> None:
    agreement = Agreement()
    for _ in range(3):
        assert hear(agreement, "각도운 역이 무슨", probability=0.2)[0] == ""


def test_scripts_without_spaces_are_joined_without_them() -> None:
    agreement = Agreement()
    hear(agreement, "今日は天気", joint="")
    assert hear(agreement, "今日は天気が", joint="") == ("今日は天気", "今日は天気が")

import pytest

from chammal_tts.kokoro_letters import LETTERS
from chammal_tts.phonemes import phonemes
from chammal_tts.script import CLAUSE_PAUSE, PIECE_PHONEMES, SENTENCE_PAUSE, Language, script


def test_each_sentence_has_the_language_of_its_script() -> None:
    parts = script("안녕하세요. Hello there. AI가 좋아요.")
    assert [p.language for p in parts] == [Language.KO, Language.EN, Language.KO]


def test_a_sentence_of_digits_takes_the_language_of_the_text() -> None:
    assert [p.text for p in script("번호입니다. 123.")] == ["번호입니다.", "백이십삼."]


def test_the_caller_decides_how_digits_are_read() -> None:
    assert script("7", Language.KO)[0].text == "칠"
    assert script("7", Language.EN)[0].text == "7"


@pytest.mark.parametrize("text", ["🙂", "...", "—", "こんにちは", "你好。", "   \n ", "```code```"])
def test_text_without_anything_to_say_is_empty(text: str) -> None:
    assert script(text) == []


def test_pauses_are_longer_between_sentences_than_inside_one() -> None:
    long = "이 문장은 아주 길어서, " * 30 + "끝납니다. 다음."
    assert {p.pause for p in script(long)[:-2]} == {CLAUSE_PAUSE}
    assert {p.pause for p in script(long)[-2:]} == {SENTENCE_PAUSE}


def test_pieces_fit_the_model() -> None:
    text = "금융소비자보호법에따른설명의무와청약철회권, " * 60 + "wonderful extraordinary internationalisation " * 60
    assert max(len(phonemes(p.text)) for p in script(text)) < 510
    assert PIECE_PHONEMES < 510


@pytest.mark.parametrize(
    "text",
    [
        "오늘 meeting은 3시예요.",
        "The word 안녕 means hello.",
        "C++와 Python3, 그리고 A&B.",
        "가격은 $5.50, 약 10%!",
        "I'm OK; you?",
    ],
)
def test_every_sound_is_one_that_kokoro_knows(text: str) -> None:
    sounds = [phonemes(p.text) for p in script(text)]
    assert sounds
    assert not {letter for part in sounds for letter in part} - LETTERS.keys()

import pytest

from chammal_tts.sentences import pieces, sentences, weight


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("안녕하세요. 반갑습니다!", ["안녕하세요.", "반갑습니다!"]),
        ("했습니다.그리고 갔어요.", ["했습니다.", "그리고 갔어요."]),
        ("좋아요? 네! 정말…", ["좋아요?", "네!", "정말…"]),
        ("これは。あれは！", ["これは。", "あれは！"]),
        ("그는 \"좋다.\" 하고 말했다.", ["그는 \"좋다.\"", "하고 말했다."]),
        ("Mr. Smith met J. Doe. They left.", ["Mr. Smith met J. Doe.", "They left."]),
        ("Version 3.14 is out. Use e.g. this.", ["Version 3.14 is out.", "Use e.g. this."]),
        ("첫 줄\n둘째 줄", ["첫 줄", "둘째 줄"]),
        ("1. 하나\n2. 둘", ["1. 하나", "2. 둘"]),
        ("날짜는 2026. 11. 22. 입니다. 끝.", ["날짜는 2026. 11. 22.", "입니다.", "끝."]),
        ("Come at 6 p.m. on Friday. Bye.", ["Come at 6 p.m. on Friday.", "Bye."]),
        ("It was in 2026. 11 people came.", ["It was in 2026.", "11 people came."]),
        ("끝이 없는 말", ["끝이 없는 말"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_are_found(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_short_sentence_is_one_piece() -> None:
    assert pieces("짧은 말.", 100) == ["짧은 말."]


def test_a_long_sentence_is_cut_at_commas_first() -> None:
    assert pieces("가나다라 마바사, 아자차카 타파하", 30) == ["가나다라 마바사,", "아자차카 타파하"]


def test_without_commas_it_is_cut_after_a_clause_ending() -> None:
    assert pieces("비가 왔으며 바람도 불었다", 25) == ["비가 왔으며", "바람도 불었다"]


@pytest.mark.parametrize("text", ["가" * 500, "word " * 200, "a" * 900, "가나 " * 300 + "끝.", ", , ," * 50])
def test_no_piece_is_too_long_and_nothing_is_lost(text: str) -> None:
    parts = pieces(text, 60)
    assert max(map(weight, parts)) <= 60 + 3.3
    assert "".join("".join(parts).split()) == "".join(text.split())

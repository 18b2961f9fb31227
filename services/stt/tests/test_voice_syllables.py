import pytest

from chammal_stt.voice.syllables import syllables


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("가장 가까운 지하철역이 무슨역 인가요?", 16),
        ("네.", 1),
        ("ㅋㅋ 좋아요", 3),
        ("350원", 5),
        ("1000원", 2),
        ("10시 15분", 5),
        ("3억 5,000만 원", 6),
        ("010", 3),
        ("AI 모델", 4),
        ("", 0),
        ("...", 0),
    ],
)
def test_korean_is_counted(text: str, count: int) -> None:
    assert syllables(text, "ko") == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("And so my fellow Americans", 9),
        ("ask not what your country can do for you", 10),
        ("The horizon seems extremely distant.", 10),
        ("He began a confused complaint against the wizard", 13),
        ("wanted, walked, making, changes, tables", 9),
        ("I don't know, it's Peter's idea", 10),
        ("the USA and the FAQ", 9),
        ("Call 911 in 25 minutes", 13),
    ],
)
def test_english_is_estimated_within_one_in_ten(text: str, count: int) -> None:
    found = syllables(text, "en")
    assert found is not None
    assert abs(found - count) <= max(1, count // 10)


def test_kana_and_han_are_counted() -> None:
    assert syllables("きょうは天気がいい", "ja") == 8


@pytest.mark.parametrize("text", ["привет", "สวัสดี", "مرحبا"])
def test_other_scripts_are_not_guessed(text: str) -> None:
    assert syllables(text, "ru") is None

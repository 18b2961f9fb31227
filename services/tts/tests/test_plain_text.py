import unicodedata

import pytest

from chammal_tts.plain_text import plain_text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**굵게** 그리고 *기울게*", "굵게 그리고 기울게"),
        ("# 제목\n본문", "제목\n본문"),
        ("- 하나\n- 둘", "하나\n둘"),
        ("> 인용", "인용"),
        ("[참말](https://example.com) 보기", "참말 보기"),
        ("주소는 https://example.com/a?b=c 입니다", "주소는 링크 입니다"),
        ("see https://example.com", "see link"),
        ("코드 `x = 1` 끝", "코드 x = 1 끝"),
        ("앞\n```py\nprint()\n```\n뒤", "앞\n \n뒤"),
        ("안녕 🙂👍🏽 하세요 ❤️", "안녕 하세요"),
        ("<b>bold</b> text", "bold text"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b\n1, 2"),
        ("１２３ ㎏", "123 kg"),
        ("snake_case_name", "snake case name"),
        ("zero\u200bwidth", "zero width"),
    ],
)
def test_only_what_is_said_stays(written: str, said: str) -> None:
    assert " ".join(plain_text(written).split(" ")).split() == said.split()


def test_decomposed_hangul_is_composed() -> None:
    assert plain_text(unicodedata.normalize("NFD", "한글")) == "한글"


@pytest.mark.parametrize(
    "text",
    ["", "🙂", "***", "```", "|||", "[](", "<" * 5000, "*" * 5000, "_a" * 2000, "`" * 4096, "*a" * 2000, "[a](" * 1000],
)
def test_odd_input_is_taken(text: str) -> None:
    assert isinstance(plain_text(text), str)

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
        ("`git status`를 실행", "git status를 실행"),
        ("먼저 `x = 1` 쓰기", "먼저 코드 쓰기"),
        ("run `a->b()` now", "run code now"),
        ("앞\n```py\nprint()\n```\n뒤", "앞\n \n뒤"),
        ("안녕 🙂👍🏽 하세요 ❤️", "안녕 하세요"),
        ("<b>bold</b> text", "bold text"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b\n1, 2"),
        ("１２３ ㎏", "123 kg"),
        ("snake_case_name", "snake case name"),
        ("zero\u200bwidth", "zero width"),
        ("see <https://example.com>.", "see link."),
        ("naver.com/path?a=1 참고", "링크 참고"),
        ("help@example.com으로", "이메일 주소으로"),
        ("write to a.b+c@example.co.kr", "write to email address"),
        ("근거가 있다[1][^2].", "근거가 있다 ."),
        ("- [x] 끝냄\n- [ ] 아직", "끝냄\n아직"),
        ("좋아요 :) 네 ;-) :smile: ^^", "좋아요 네"),
        ("10:30, a:b", "10:30, a:b"),
        ("ㅋㅋㅋ 재밌네요 ㅠㅠ", "재밌네요"),
        ("설정 → 알림", "설정, 알림"),
        ("<think>hidden\nthought</think>답", "답"),
        ("A &amp; B<!-- note -->", "A & B"),
        ("#3 항목 #태그", "№3 항목 태그"),
    ],
)
def test_only_what_is_said_stays(written: str, said: str) -> None:
    assert " ".join(plain_text(written).split(" ")).split() == said.split()


def test_decomposed_hangul_is_composed() -> None:
    assert plain_text(unicodedata.normalize("NFD", "한글")) == "한글"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "🙂",
        "***",
        "```",
        "|||",
        "[](",
        "<" * 5000,
        "*" * 5000,
        "_a" * 2000,
        "`" * 4096,
        "*a" * 2000,
        "[a](" * 1000,
        "a-" * 2000,
        "a." * 2000,
        "a@" * 2000,
        "<think>" * 600,
    ],
)
def test_odd_input_is_taken(text: str) -> None:
    assert isinstance(plain_text(text), str)

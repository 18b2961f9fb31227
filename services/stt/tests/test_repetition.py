import pytest

from chammal_stt.repetition import loop


@pytest.mark.parametrize(
    ("text", "unit", "times", "left"),
    [
        (" 자, 자, 자, 자, 자", "자", 5, " 자"),
        (" 네, 그건 자, 자, 자, 자, 알겠습니다.", "자", 4, " 네, 그건 자, 알겠습니다."),
        (" 이 영상은 이 영상은 이 영상은", "이 영상은", 3, " 이 영상은"),
        (" I'm sorry, I'm sorry, I'm sorry, I'm", "I'm sorry", 3, " I'm sorry"),
        (" 오오오오오오오오오오오오", "오", 12, " 오"),
        (" 1,2,3,4,4,4,4,4,4,4,4,4", "4", 9, " 1,2,3,4"),
        ("谢谢谢谢谢谢谢谢谢谢谢谢谢谢谢谢", "谢", 16, "谢"),
        (" 하나 둘 셋 하나 둘 셋 하나 둘 셋. 끝", "하나 둘 셋", 3, " 하나 둘 셋. 끝"),
    ],
)
def test_loops_are_found_and_their_first_time_is_left(text: str, unit: str, times: int, left: str) -> None:
    found = loop(text)
    assert found is not None
    assert (found.unit, found.times) == (unit, times)
    assert text[: found.start] + text[found.end :] == left


@pytest.mark.parametrize(
    "text",
    [
        " 네, 네, 네",
        " 감사합니다. 감사합니다. 감사합니다.",
        " 공공공공",
        " 010-0000-0000",
        " 100000000000원",
        " 하하하하",
        " 새로운 새 프로젝트, 새 프로젝트를 만듭니다.",
        " It had had had been.",
        "",
        " ...",
    ],
)
def test_people_repeat_themselves_too(text: str) -> None:
    assert loop(text) is None

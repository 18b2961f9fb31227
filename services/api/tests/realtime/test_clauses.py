import pytest
from hypothesis import given
from hypothesis import strategies as st

from chammal_api.realtime.clauses import Ending, ending

WHOLE_KO = [
    "네.",
    "아니요",
    "내일 오후 세 시로 예약하고 싶어요.",
    "보험을 해지하려고 합니다.",
    "그건 얼마입니까?",
    "그건 얼마입니까",
    "몇 시까지 하나요?",
    "그게 뭐예요",
    "밥 먹었어",
    "내가 할게",
    "오늘 날씨 좋네",
    "삼만 원이요",
    "문의",
    "저녁 회의",
    "신용카드 광고",
    "라면",
    "교과서",
    "서울 친구",
    "금리가 어떻게 되는데요?",
    "비가 오는데?",
    "가을",
    "돌솥비빔밥 하나 주세요.",
]
OPEN_KO = [
    "제가 어제 예약을 했는데",
    "제가 어제 예약을 했는데.",
    "서류를 보내고",
    "배가 아파서",
    "길이 막혀서",
    "비가 오니까",
    "시간이 있으면",
    "해 보려고",
    "그리고",
    "내일은",
    "약관을",
    "고객님의",
    "어제 가입한",
    "할 수 있는",
    "가고 싶지만",
    "음",
    "그…",
    "제 이름은 홍길동이고,",
    "매운 거 말고",
    "먼저 확인을 하셔야",
]
DOUBTFUL_KO = [
    "어제 신청했는데요.",
    "여섯 시까지",
    "010 1234",
    "이자는 만기에 나가고요.",
    "시장에서",
    "공일공 일이삼사",
    "한 달에 삼만 원",
    "금리는 연 삼 점 오 퍼센트",
    "이천이십육년",
]
WHOLE_EN = [
    "Yes, I can.",
    "What is it about?",
    "I would like a table for two.",
    "No",
    "Thank you",
    "Tell me what this is for.",
    "Stop!",
]
OPEN_EN = [
    "I went there and",
    "I went there and.",
    "I'd like to book a table, but",
    "Because",
    "My name is",
    "If you could tell me the",
    "well, um",
    "I was thinking...",
    "First of all,",
]


@pytest.mark.parametrize("said", WHOLE_KO)
def test_a_korean_sentence_that_is_said_to_its_end_is_whole(said: str) -> None:
    assert ending(said, "ko") is Ending.WHOLE


@pytest.mark.parametrize("said", OPEN_KO)
def test_a_korean_clause_that_ends_in_a_connective_or_a_particle_is_open(said: str) -> None:
    assert ending(said, "ko") is Ending.OPEN


@pytest.mark.parametrize("said", DOUBTFUL_KO)
def test_what_can_stand_and_often_goes_on_is_doubtful(said: str) -> None:
    assert ending(said, "ko") is Ending.DOUBTFUL


@pytest.mark.parametrize("said", WHOLE_EN)
def test_an_english_sentence_that_is_said_to_its_end_is_whole(said: str) -> None:
    assert ending(said, "en") is Ending.WHOLE


@pytest.mark.parametrize("said", OPEN_EN)
def test_an_english_clause_that_ends_with_a_word_that_leads_on_is_open(said: str) -> None:
    assert ending(said, "en") is Ending.OPEN


def test_the_script_of_the_last_word_decides_where_the_language_was_told_wrong() -> None:
    assert ending("예약을 했는데", "en") is Ending.OPEN
    assert ending("그건 OK", "ko") is Ending.WHOLE


def test_a_language_without_rules_is_taken_at_its_punctuation() -> None:
    assert ending("Ich komme und", "de") is Ending.WHOLE
    assert ending("Ich komme,", "de") is Ending.OPEN


def test_letters_that_are_taken_apart_are_read_as_syllables() -> None:
    assert ending("\u1112\u1162\u110a\u1173\u11b8\u1102\u1175\u1103\u1161", "ko") is Ending.WHOLE
    assert ending("\u1112\u1162\u11bb\u1102\u1173\u11ab\u1103\u1166", "ko") is Ending.OPEN


@given(st.text(), st.sampled_from(["ko", "en", "ja", ""]))
def test_any_text_has_an_ending(text: str, language: str) -> None:
    assert ending(text, language) in Ending

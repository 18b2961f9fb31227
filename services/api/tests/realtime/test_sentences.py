"""A reply is cut while it is written, at the places where a speaker would pause."""

import pytest

from chammal_api.realtime.sentences import LONGEST, SentenceCutter, speakable

REPLIES = {
    "네 알겠습니다. 내일 오후 3시에 다시 전화드리겠습니다. 괜찮으시죠?": [
        "네 알겠습니다. ",
        "내일 오후 3시에 다시 전화드리겠습니다. ",
        "괜찮으시죠?",
    ],
    "It is 3.5 percent. That is what Dr. Kim and Mr. A. Lee said. OK?": [
        "It is 3.5 percent. ",
        "That is what Dr. Kim and Mr. A. Lee said. ",
        "OK?",
    ],
    "수익률은 3.5퍼센트입니다.그리고 원금은 보장되지 않습니다.": [
        "수익률은 3.5퍼센트입니다.",
        "그리고 원금은 보장되지 않습니다.",
    ],
    "今日は。元気ですか？はい": ["今日は。", "元気ですか？", "はい"],
    "물론이죠, 바로 확인해 드리겠습니다. 잠시만요, 곧 됩니다.": [
        "물론이죠, ",
        "바로 확인해 드리겠습니다. ",
        "잠시만요, 곧 됩니다.",
    ],
    "I looked it up for you, and it is open. Then, as you know, it closes.": [
        "I looked it up for you, ",
        "and it is open. ",
        "Then, as you know, it closes.",
    ],
    "비가 많이 오는데 우산을 챙기세요. 정말요?!": ["비가 많이 오는데 ", "우산을 챙기세요. ", "정말요?!"],
    "1. 통장\n2. 신분증\n": ["1. 통장\n", "2. 신분증\n"],
    "「좋아요。」と言った。": ["「좋아요。」", "と言った。"],
    "The price is 10,000 won, roughly 7.50 dollars.": ["The price is 10,000 won, ", "roughly 7.50 dollars."],
    "Wait... what?": ["Wait... ", "what?"],
    "이렇게 씁니다:\n```py\nprint(1)\nx = 2. y\n```\n이제 끝입니다.": [
        "이렇게 씁니다:\n",
        "```py\nprint(1)\nx = 2. y\n```",
        "\n이제 끝입니다.",
    ],
    "Like ```a = 1``` this.": ["Like ", "```a = 1```", " this."],
    "가. 첫째 항목입니다. 나. 둘째입니다.": ["가. 첫째 항목입니다. ", "나. 둘째입니다."],
}


def cut(reply: str, size: int) -> list[str]:
    cutter = SentenceCutter()
    pieces = [piece for at in range(0, len(reply), size) for piece in cutter.feed(reply[at : at + size])]
    return [piece for piece in (*pieces, cutter.end()) if piece]


def words(piece: str) -> str:
    """A closing quote may come too late for its sentence; nobody hears it."""
    return "".join(char for char in piece if char.isalnum() or char in ".,").rstrip(".,")


@pytest.mark.parametrize("reply", REPLIES)
def test_a_whole_reply_is_cut_where_a_speaker_pauses(reply: str) -> None:
    assert cut(reply, len(reply)) == REPLIES[reply]


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_however_it_arrives_nothing_is_lost_and_no_number_or_name_is_cut(reply: str, size: int) -> None:
    pieces = cut(reply, size)
    assert "".join(pieces) == reply
    assert [words(piece) for piece in pieces if speakable(piece)] == [
        words(piece) for piece in REPLIES[reply] if speakable(piece)
    ]


def test_a_korean_sentence_is_there_with_its_full_stop_and_not_a_token_later() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("안녕하세요") == []
    assert cutter.feed(".") == ["안녕하세요."]


def test_a_full_stop_that_may_go_on_is_waited_for() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("It costs 3.") == []
    assert cutter.feed("5 dollars. ") == ["It costs 3.5 dollars. "]


def test_a_short_first_clause_is_kept_with_what_follows() -> None:
    assert SentenceCutter().feed("Oh, that is good. ") == ["Oh, that is good. "]


def test_only_the_first_piece_ends_at_a_clause() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("오늘은 날씨가 맑고 기온이 높아서 덥겠고 ") == ["오늘은 날씨가 맑고 "]
    assert cutter.feed("밤에는 비가 오겠고, 바람이 ") == []


@pytest.mark.parametrize("text", ["가" * 1000, "word " * 200, "나 " * 500, "안녕하세요, " * 100])
def test_what_never_ends_is_cut_before_it_is_too_long(text: str) -> None:
    pieces = cut(text, 5)
    assert "".join(pieces) == text
    assert all(len(piece) <= longest for piece, longest in zip(pieces, LONGEST, strict=False))
    assert max(map(len, pieces)) <= LONGEST[-1]


def test_text_without_a_word_is_nothing_to_speak() -> None:
    assert not speakable(" … \n—")
    assert cut("\n\n… 네, 알겠습니다.", 1)[-1].endswith("알겠습니다.")


def test_a_long_reply_takes_time_in_proportion_to_its_length() -> None:
    cutter = SentenceCutter()
    for _ in range(5000):
        cutter.feed("a.")
    assert len(cutter.end()) <= LONGEST[-1]


def test_a_block_of_code_is_not_spoken_and_not_cut_even_when_it_never_ends() -> None:
    assert not speakable("```py\nprint(1)\n```")
    assert cut("See:\n```py\n" + "x = 1. y\n" * 50, 7) == ["See:\n", "```py\n" + "x = 1. y\n" * 50]

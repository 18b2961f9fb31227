from chammal_stt.dialogue import Turn, interleave, plain_text
from chammal_stt.messages import RecognisedSegment, RecognisedWord


def segment(start: float, end: float, text: str, words: list[RecognisedWord] | None = None) -> RecognisedSegment:
    return RecognisedSegment(start, end, text, [1], 0.0, -0.2, 1.0, 0.1, words)


def test_turns_are_ordered_by_their_start_across_channels() -> None:
    turns = interleave(
        {"agent": [segment(0, 2, " 안녕하세요."), segment(5, 9, " 네.")], "customer": [segment(2, 4, " 여보세요?")]}
    )
    assert [(turn.speaker, turn.segment.start) for turn in turns] == [("agent", 0), ("customer", 2), ("agent", 5)]


def test_speakers_may_talk_at_once_and_the_first_to_begin_comes_first() -> None:
    turns = interleave({"agent": [segment(1, 10, " 약관을 설명합니다.")], "customer": [segment(0.5, 9, " 잠깐만요.")]})
    assert [(turn.speaker, turn.segment.end) for turn in turns] == [("customer", 9), ("agent", 10)]


def test_the_left_channel_comes_first_when_both_begin_at_once() -> None:
    turns = interleave({"agent": [segment(0, 1, " 네.")], "customer": [segment(0, 1, " 네.")]})
    assert [turn.speaker for turn in turns] == ["agent", "customer"]


def test_one_speaker_does_not_overlap_with_himself() -> None:
    words = [RecognisedWord(" 하나", 0.0, 3.0, 0.9)]
    turns = interleave({"agent": [segment(2, 4, " 둘"), segment(0, 3, " 하나", words), segment(2, 5, " 셋")]})
    spans = [(turn.segment.start, turn.segment.end) for turn in turns]
    assert spans == [(0, 2), (2, 2), (2, 5)]
    assert turns[0].segment.words == words


def test_the_text_of_a_call_has_a_line_each_time_the_speaker_changes() -> None:
    turns = interleave(
        {"agent": [segment(0, 2, " 안녕하세요."), segment(2, 3, " 상담원입니다.")], "customer": [segment(4, 5, " 네.")]}
    )
    assert plain_text(turns) == "agent: 안녕하세요. 상담원입니다.\ncustomer: 네."


def test_the_text_of_one_voice_is_the_text() -> None:
    assert plain_text([Turn(segment(0, 1, " And so")), Turn(segment(1, 2, " my fellow."))]) == "And so my fellow."
    assert plain_text([]) == ""


def test_a_channel_in_which_nothing_was_said_is_no_speaker() -> None:
    assert interleave({"agent": [], "customer": [segment(0, 1, " 네")]}) == [Turn(segment(0, 1, " 네"), "customer")]
    assert interleave({"agent": [], "customer": []}) == []

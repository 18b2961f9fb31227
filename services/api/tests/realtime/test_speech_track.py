"""Audio time becomes words."""

import pytest

from chammal_api.realtime.speech_track import SpeechTrack


def track(*pieces: tuple[str, float, bool]) -> SpeechTrack:
    made = SpeechTrack()
    for text, ms, whole in pieces:
        made.begin(text)
        made.grow(ms)
        if whole:
            made.end()
    return made


TWO = track(("One two three. ", 900, True), ("Four five six.", 900, True))


@pytest.mark.parametrize(
    ("ms", "heard"),
    [
        (0, ""),
        (240, ""),
        (300, "One"),
        (899, "One two"),
        (900, "One two three."),
        (1560, "One two three. Four five"),
        (1800, "One two three. Four five six."),
        (99_999, "One two three. Four five six."),
    ],
)
def test_only_whole_words_that_were_spoken_count(ms: float, heard: str) -> None:
    assert TWO.text_until(ms) == heard


def test_of_a_piece_whose_audio_is_not_all_there_only_a_share_was_heard() -> None:
    half = track(("오늘은 날씨가 아주 맑고 따뜻합니다.", 1300, False))
    assert half.text_until(1300) == "오늘은 날씨가"


def test_of_a_piece_that_has_no_audio_yet_nothing_was_heard() -> None:
    assert track(("One. ", 500, True), ("Two.", 0, False)).text_until(500) == "One."


def test_text_that_could_not_be_spoken_counts_where_it_stands() -> None:
    mute = track(("One. ", 500, True), ("Two. ", 0, True), ("Three.", 500, True))
    assert mute.text_until(500) == "One. Two."
    assert mute.text_until(499) == ""
    assert track(("Nothing was spoken. ", 0, True)).text_until(0) == "Nothing was spoken."


def test_a_track_without_pieces_is_silent() -> None:
    assert (SpeechTrack().ms, SpeechTrack().text_until(100)) == (0, "")

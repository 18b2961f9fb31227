import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chammal_stt.messages import SAMPLE_RATE, SPEECH_FRAME
from chammal_stt.pieces import Cut, cut, speech_runs

LIMITS = Cut(piece_seconds=10, pause_seconds=3, padding_seconds=0.5, whole_seconds=15)
SLACK = 2 * LIMITS.padding_seconds + SPEECH_FRAME / SAMPLE_RATE


def activity(*parts: tuple[float, int]) -> npt.NDArray[np.uint8]:
    """(seconds, probability) one after the other."""
    frames = [np.full(round(seconds * SAMPLE_RATE / SPEECH_FRAME), value, np.uint8) for seconds, value in parts]
    return np.concatenate(frames)


def seconds(speech: npt.NDArray[np.uint8], limits: Cut = LIMITS) -> list[tuple[float, float]]:
    stretches = cut(speech, len(speech) * SPEECH_FRAME, limits)
    return [(stretch.first / SAMPLE_RATE, stretch.last / SAMPLE_RATE) for stretch in stretches]


def test_silence_has_no_pieces() -> None:
    assert seconds(activity((60, 0))) == []
    assert seconds(activity((4, 20))) == []


def test_a_short_recording_with_speech_stays_whole() -> None:
    assert seconds(activity((5, 0), (1, 255), (6, 0))) == [(0, pytest.approx(12, abs=0.1))]


def test_turns_with_a_pause_between_them_are_read_together() -> None:
    assert len(seconds(activity((1, 0), (3, 255), (2, 0), (3, 255), (20, 0)))) == 1


def test_a_long_pause_is_in_no_piece() -> None:
    pieces = seconds(activity((1, 0), (3, 255), (8, 0), (3, 255), (20, 0)))
    assert pieces == [
        (pytest.approx(0.5, abs=0.1), pytest.approx(4.5, abs=0.1)),
        (pytest.approx(11.5, abs=0.1), pytest.approx(15.5, abs=0.1)),
    ]


def test_long_speech_is_cut_where_it_is_faintest() -> None:
    pieces = seconds(activity((7, 255), (0.3, 100), (9, 255)))
    assert pieces[0][1] == pytest.approx(7.15, abs=0.2)


def test_a_dip_within_a_word_ends_no_run() -> None:
    assert len(speech_runs(activity((1, 255), (0.1, 0), (1, 255)))) == 1
    assert len(speech_runs(activity((1, 255), (0.4, 0), (1, 255)))) == 2


@given(st.lists(st.tuples(st.floats(0.05, 30), st.sampled_from([0, 30, 60, 100, 200, 255])), min_size=1, max_size=20))
def test_all_speech_is_in_exactly_one_piece_and_none_is_too_long(parts: list[tuple[float, int]]) -> None:
    speech = np.concatenate([activity(part) for part in parts] or [np.zeros(1, np.uint8)])
    stretches = cut(speech, len(speech) * SPEECH_FRAME, LIMITS)
    times = np.zeros(len(speech) * SPEECH_FRAME, np.uint8)
    for stretch in stretches:
        times[stretch.first : stretch.last] += 1
        assert 0 <= stretch.first < stretch.last <= len(times)
        assert stretch.seconds <= max(LIMITS.piece_seconds + SLACK, LIMITS.whole_seconds)
    assert times.max(initial=0) <= 1
    assert all(times[first * SPEECH_FRAME : last * SPEECH_FRAME].all() for first, last in speech_runs(speech))

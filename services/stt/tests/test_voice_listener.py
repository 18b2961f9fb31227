import numpy as np
import pytest

from chammal_stt.messages import SAMPLE_RATE, Piece, RecognisedSegment, Recognition
from chammal_stt.voice import pitch
from chammal_stt.voice.listener import VoiceListener, with_voice

BUZZ = np.sign(np.sin(2 * np.pi * 150 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32) * np.float32(0.1)
SEGMENT = RecognisedSegment(
    start=1.0, end=3.0, text="a", tokens=[1], temperature=0, avg_logprob=0, compression_ratio=1, no_speech_prob=0
)
WRITTEN = Recognition("en", [SEGMENT])
AUDIO = np.concatenate((np.zeros(SAMPLE_RATE, np.float32), BUZZ))
PIECE = Piece(0, len(AUDIO), voice=True, voice_from=SAMPLE_RATE)


@pytest.fixture
def listener() -> VoiceListener:
    return VoiceListener()


def test_the_piece_and_each_of_its_segments_are_measured(listener: VoiceListener) -> None:
    measuring = listener.begin([AUDIO], [PIECE])
    found = with_voice(WRITTEN, PIECE, measuring[0])
    assert found.voice is not None
    assert found.voice.f0_hz == pytest.approx(150, rel=0.02)
    assert found.segments[0].voice is not None
    assert found.voice_error is None


def test_who_did_not_ask_gets_none(listener: VoiceListener) -> None:
    piece = Piece(0, len(AUDIO))
    measuring = listener.begin([AUDIO], [piece])
    assert measuring == [None]
    assert with_voice(WRITTEN, piece, measuring[0]) is WRITTEN


def test_a_failure_is_told_and_the_text_stands(listener: VoiceListener, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("no model of pitch")

    monkeypatch.setattr(pitch, "PitchDetector", broken)
    found = with_voice(WRITTEN, PIECE, listener.begin([AUDIO], [PIECE])[0])
    assert found.voice_error == "RuntimeError: no model of pitch"
    assert found.segments[0].voice_error == found.voice_error
    assert found.segments[0].text == "a"

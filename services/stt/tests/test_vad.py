import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from faster_whisper.vad import SileroVADModel, get_vad_model

from chammal_stt import vad
from chammal_stt.messages import SPEECH_FRAME
from chammal_stt.vad import SpeechDetector


@pytest.fixture(scope="module")
def speech(audio: Path) -> npt.NDArray[np.int16]:
    with wave.open(str(audio / "ko_naver_001.wav")) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), np.int16)


@pytest.fixture(scope="module")
def reference() -> SileroVADModel:
    return get_vad_model()


def fed(samples: npt.NDArray[np.int16], size: int) -> npt.NDArray[np.float32]:
    detector = SpeechDetector()
    parts = [detector.feed(samples[at : at + size]) for at in range(0, len(samples), size)]
    return np.concatenate([*parts, detector.finish()])


def batch(reference: SileroVADModel, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """The library zeroes the last 64 samples that it is given, so it gets a frame more."""
    padding = -len(samples) % SPEECH_FRAME + SPEECH_FRAME
    return reference(np.pad(samples, (0, padding)).astype(np.float32) / 32768).reshape(-1)[:-1]


@pytest.mark.parametrize("size", [160, 511, SPEECH_FRAME, 513, 5_000, 1 << 30])
def test_whatever_the_chunks_it_agrees_with_the_librarys_own_batch(
    speech: npt.NDArray[np.int16], reference: SileroVADModel, size: int
) -> None:
    expected = batch(reference, speech)
    assert expected.max() > 0.9
    assert expected.min() < 0.1
    np.testing.assert_allclose(fed(speech, size), expected, atol=2e-5)


def test_its_state_is_carried_beyond_what_the_library_does_in_one_run(
    speech: npt.NDArray[np.int16], reference: SileroVADModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vad, "_NO_SPEECH", 0.0)
    long = np.tile(speech, 10_300 * SPEECH_FRAME // len(speech))
    np.testing.assert_allclose(fed(long, 1 << 30), batch(reference, long), atol=1e-3)


@pytest.mark.parametrize("silence", [0, 1])
def test_a_word_after_a_minute_of_silence_is_heard_like_one_at_the_beginning(
    speech: npt.NDArray[np.int16], reference: SileroVADModel, silence: int
) -> None:
    """Unlike in the library's own batch, which carries its state through."""
    frames = 30 * 64
    call = np.concatenate((np.full(frames * SPEECH_FRAME, silence, np.int16), speech))
    fresh = fed(speech, 1 << 30)
    np.testing.assert_allclose(fed(call, 1 << 30)[frames:], fresh, atol=0.05)
    assert np.count_nonzero(batch(reference, call)[frames:] > 0.5) < np.count_nonzero(fresh > 0.5)


@pytest.mark.parametrize("size", [SPEECH_FRAME, 7_777])
def test_resting_in_digital_silence_changes_nothing(speech: npt.NDArray[np.int16], size: int) -> None:
    call = np.concatenate((speech, np.zeros(20 * 16_000, np.int16), speech))
    np.testing.assert_allclose(fed(call, size), fed(call, 1 << 30), atol=2e-5)


def test_there_is_one_probability_for_each_frame_begun() -> None:
    assert [len(fed(np.zeros(count, np.int16), 400)) for count in (0, 1, 512, 513)] == [0, 1, 1, 2]

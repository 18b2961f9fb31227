"""What real weights write about sounds without speech, and about speech."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from faster_whisper import WhisperModel, decode_audio

from chammal_contracts.asr import SuspectReason
from chammal_stt.activity import ActivityMeter
from chammal_stt.honesty import examine
from chammal_stt.messages import SAMPLE_RATE, RecognisedSegment
from chammal_stt.pieces import Probabilities, probabilities

pytestmark = pytest.mark.model

Sound = npt.NDArray[np.float64]
SECONDS = 6
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE


def white() -> Sound:
    return np.random.default_rng(1).normal(0, 0.05, len(TIME))


def loud() -> Sound:
    return np.random.default_rng(2).normal(0, 0.3, len(TIME))


def coloured(low: float, high: float, slope: float) -> Sound:
    frequencies = np.fft.rfftfreq(len(TIME), 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(white()) * ((frequencies > low) & (frequencies < high)) / np.maximum(frequencies, 1) ** slope
    sound = np.fft.irfft(spectrum, len(TIME))
    return 0.08 * sound / sound.std()


def breath() -> Sound:
    return coloured(300, 3500, 0.5) * np.clip(np.sin(2 * np.pi * TIME / 3), 0, 1) ** 2


def tones(*frequencies: float) -> Sound:
    return np.sum([np.sin(2 * np.pi * frequency * TIME) for frequency in frequencies], axis=0) * 0.15


def music() -> Sound:
    chords = [(261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7)]
    beat = TIME.astype(int) % len(chords)
    return np.choose(beat, [tones(*chord) for chord in chords]) * np.exp(-2 * (TIME % 1))


def keypad() -> Sound:
    pressed = np.choose((TIME / 0.3).astype(int) % 3, [tones(697, 1209), tones(770, 1336), tones(941, 1477)])
    return pressed * (TIME % 0.3 < 0.18)


SOUNDS: dict[str, Callable[[], Sound]] = {
    "silence": lambda: np.zeros(len(TIME)),
    "white noise": white,
    "loud white noise": loud,
    "pink noise": lambda: coloured(20, 8000, 0.5),
    "hum": lambda: tones(60, 180),
    "breath": breath,
    "music": music,
    "keypad": keypad,
    "ringing": lambda: tones(440, 480) * (TIME % 3 < 1),
    "clicks": lambda: (np.arange(len(TIME)) % 3000 == 7) * 0.8,
}


@pytest.fixture(scope="module")
def whisper(models_dir: Path) -> WhisperModel:
    return WhisperModel(str(models_dir / "whisper-base"), device="cpu", compute_type="int8", cpu_threads=1)


def heard(sound: npt.NDArray[np.floating]) -> Probabilities:
    meter = ActivityMeter()
    meter.feed((np.clip(sound, -1, 1) * 32_767).astype(np.int16))
    return probabilities(meter.activity())


def write(whisper: WhisperModel, sound: npt.NDArray[np.floating], **options: object) -> list[RecognisedSegment]:
    found, _ = whisper.transcribe(sound.astype(np.float32), temperature=0.0, **options)
    return [
        RecognisedSegment(
            segment.start,
            segment.end,
            segment.text,
            segment.tokens,
            0.0,
            segment.avg_logprob,
            segment.compression_ratio,
            segment.no_speech_prob,
        )
        for segment in found
    ]


@pytest.fixture(scope="module")
def invented(whisper: WhisperModel) -> dict[str, list[RecognisedSegment]]:
    """Without the model's own guards: temperature 0 alone, and its no-speech threshold off."""
    options = {"language": "ko", "beam_size": 1, "max_new_tokens": 40, "no_speech_threshold": None}
    return {name: write(whisper, sound(), **options) for name, sound in SOUNDS.items()}


def test_the_model_does_invent_text(invented: dict[str, list[RecognisedSegment]]) -> None:
    """Else the next tests show nothing."""
    assert sum(bool(segments) for segments in invented.values()) >= 7


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_without_speech_have_no_text_and_what_was_written_is_told(
    invented: dict[str, list[RecognisedSegment]], name: str
) -> None:
    examined = examine(invented[name], heard(SOUNDS[name]()), "ko")
    assert examined.kept == []
    assert [suspect.text for suspect in examined.suspect] == [segment.text.strip() for segment in invented[name]]
    assert all(suspect.dropped and suspect.detail for suspect in examined.suspect)


@pytest.mark.parametrize(
    ("file", "language"),
    [("ko_naver_001.wav", "ko"), ("ko_naver_025.wav", "ko"), ("en_jfk.flac", "en")],
)
def test_speech_loses_nothing(whisper: WhisperModel, audio: Path, file: str, language: str) -> None:
    sound = decode_audio(str(audio / file))
    segments = write(whisper, sound, language=language)
    examined = examine(segments, heard(sound), language)
    assert segments
    assert examined.kept == segments
    assert {suspect.reason for suspect in examined.suspect} <= {SuspectReason.LOW_CONFIDENCE}


def test_a_channel_of_a_call_loses_nothing(whisper: WhisperModel, audio: Path) -> None:
    _, customer = decode_audio(str(audio / "ko_call_two_channel_8k.wav"), split_stereo=True)
    segments = write(whisper, customer, language="ko", beam_size=1)
    examined = examine(segments, heard(customer), "ko", speaker="customer")
    assert len(segments) >= 7
    assert [segment.text for segment in examined.kept] == [segment.text for segment in segments]

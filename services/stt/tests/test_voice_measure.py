"""Voices that were made, so that what they are is known."""

import json
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from chammal_stt.messages import SAMPLE_RATE, VoiceMeasure
from chammal_stt.voice.measure import Audio, Measured
from chammal_stt.voice.pitch import PitchDetector


@pytest.fixture(scope="module")
def detector() -> PitchDetector:
    return PitchDetector()


def voice(f0: npt.NDArray[np.float64], rms: float = 0.05) -> Audio:
    """A buzz with the harmonics of a voice; `f0` is Hz at each sample."""
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE
    buzz = sum(np.sin(phase * harmonic) / harmonic for harmonic in range(1, 12))
    return (np.asarray(buzz) * (rms / np.sqrt(np.mean(np.square(buzz))))).astype(np.float32)


def steady(hz: float, seconds: float = 2.0) -> npt.NDArray[np.float64]:
    return np.full(int(seconds * SAMPLE_RATE), hz)


def silence(seconds: float) -> Audio:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def noise(seconds: float, rms: float) -> Audio:
    return (np.random.default_rng(7).standard_normal(int(seconds * SAMPLE_RATE)) * rms).astype(np.float32)


def measure(detector: PitchDetector, audio: Audio) -> VoiceMeasure:
    measured = Measured(audio, detector.contour(audio)).stretch(0.0, len(audio) / SAMPLE_RATE)
    assert measured is not None
    return measured


@pytest.mark.parametrize("hz", [80.0, 120.0, 185.0, 250.0, 400.0])
def test_a_steady_pitch_is_told_within_two_in_a_hundred(detector: PitchDetector, hz: float) -> None:
    found = measure(detector, voice(steady(hz)))
    assert found.f0_hz == pytest.approx(hz, rel=0.02)
    assert found.f0_deviation_hz < 0.03 * hz
    assert found.voiced_share > 0.9


def test_a_long_piece_has_a_value_for_each_frame_and_no_seams(detector: PitchDetector) -> None:
    audio = voice(steady(140, 13.3))
    contour = detector.contour(audio)
    assert len(contour.f0) == len(contour.voiced) == len(audio) // 256
    assert contour.voiced[5:-5].all()
    assert contour.f0[5:-5] == pytest.approx(140, rel=0.02)


def test_a_pitch_that_swings_has_the_deviation_of_its_swing(detector: PitchDetector) -> None:
    at = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    found = measure(detector, voice(180 + 40 * np.sin(2 * np.pi * at)))
    assert found.f0_hz == pytest.approx(180, rel=0.03)
    assert found.f0_deviation_hz == pytest.approx(40 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("rms", [0.01, 0.05, 0.2])
def test_loudness_is_that_of_the_speech_and_not_of_the_silence_around_it(detector: PitchDetector, rms: float) -> None:
    found = measure(detector, np.concatenate((silence(1), voice(steady(150), rms), silence(2))))
    assert found.rms == pytest.approx(rms, rel=0.05)
    assert found.seconds == pytest.approx(2.0, abs=0.1)


def test_a_noisy_room_before_the_speech_is_no_speech(detector: PitchDetector) -> None:
    spoken = np.concatenate((silence(1.5), voice(steady(150), 0.05), silence(1.5)))
    found = measure(detector, spoken + noise(5, 0.008))
    assert found.seconds == pytest.approx(2.0, abs=0.3)
    assert found.rms == pytest.approx(0.05, rel=0.1)


def test_the_crossings_of_a_tone_are_two_a_period(detector: PitchDetector) -> None:
    found = measure(detector, np.sin(2 * np.pi * 400 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32))
    assert found.zcr == pytest.approx(2 * 400 / SAMPLE_RATE, rel=0.05)


def test_breath_has_no_pitch(detector: PitchDetector) -> None:
    found = measure(detector, noise(2, 0.05))
    assert (found.f0_hz, found.f0_deviation_hz) == (0.0, 0.0)
    assert found.rms == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("audio", [silence(0), silence(0.01), silence(2), voice(steady(150, 0.1))])
def test_too_little_speech_is_not_measured(detector: PitchDetector, audio: Audio) -> None:
    assert Measured(audio, detector.contour(audio)).stretch(0.0, 2.0) is None


def test_a_stretch_is_told_apart_from_its_neighbours(detector: PitchDetector) -> None:
    audio = np.concatenate((voice(steady(110), 0.03), silence(0.5), voice(steady(260), 0.1)))
    measured = Measured(audio, detector.contour(audio))
    low, high = measured.stretch(0.0, 2.2), measured.stretch(2.3, 4.5)
    assert low is not None
    assert high is not None
    assert (low.f0_hz, high.f0_hz) == (pytest.approx(110, rel=0.02), pytest.approx(260, rel=0.02))
    assert (low.rms, high.rms) == (pytest.approx(0.03, rel=0.05), pytest.approx(0.1, rel=0.05))


@pytest.mark.parametrize("stretch", [(3.0, 2.0), (-1.0, 0.0), (50.0, 60.0)])
def test_a_stretch_that_is_not_there_is_not_measured(detector: PitchDetector, stretch: tuple[float, float]) -> None:
    audio = voice(steady(150))
    assert Measured(audio, detector.contour(audio)).stretch(*stretch) is None


@pytest.mark.parametrize(
    ("name", "hz"),
    [("ko_naver_001", 119.8), ("ko_naver_021", 83.6), ("ko_naver_025", 237.0), ("ko_azure_1", 196.5)],
)
def test_real_voices_have_the_pitch_that_praat_finds(
    detector: PitchDetector, audio: Path, name: str, hz: float
) -> None:
    """Medians of to_pitch_ac (Praat 6.4, 60-500 Hz), octave errors left out."""
    known = {clip["file"] for clip in json.loads((audio / "manifest.json").read_text())}
    assert f"{name}.wav" in known
    with wave.open(str(audio / f"{name}.wav")) as clip:
        samples = np.frombuffer(clip.readframes(clip.getnframes()), np.int16).astype(np.float32) / 32_768
    found = measure(detector, samples)
    assert found.f0_hz == pytest.approx(hz, rel=0.06)
    assert found.voiced_share > 0.5

import numpy as np
import pytest

from chammal_tts.engine import Samples
from chammal_tts.prosody import Prosody
from chammal_tts.shaping import OUTPUT_RATE, louder, shaped

SECONDS = 4
HARMONICS = 12


def voice(hertz: float, sample_rate: int = OUTPUT_RATE) -> Samples:
    """A pulse like that of a throat, so many times a second."""
    time = np.arange(SECONDS * sample_rate) / sample_rate
    parts = (np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, HARMONICS))
    return (0.2 * np.sum(list(parts), axis=0)).astype(np.float32)


def spectrum(samples: Samples) -> tuple[Samples, Samples]:
    middle = samples[OUTPUT_RATE // 2 : -OUTPUT_RATE // 2]
    power = np.abs(np.fft.rfft(middle * np.hanning(middle.size))) ** 2
    return np.arange(power.size) * OUTPUT_RATE / middle.size, power


@pytest.mark.parametrize("sample_rate", [22_050, 24_000, 44_100])
@pytest.mark.parametrize("hertz", [80.0, 220.0, 350.0])
@pytest.mark.parametrize(
    "prosody", [Prosody(1.5), Prosody(0.6), Prosody(pitch=3), Prosody(pitch=-3), Prosody(1.2, -2), Prosody(0.8, 2)]
)
def test_speed_changes_the_duration_alone_and_pitch_the_pitch_alone(
    sample_rate: int, hertz: float, prosody: Prosody
) -> None:
    made = shaped(voice(hertz, sample_rate), sample_rate, prosody)
    assert made.size / OUTPUT_RATE == pytest.approx(SECONDS / prosody.speed, rel=0.001)
    wanted = hertz * 2 ** (prosody.pitch / 12)
    frequencies, power = spectrum(made)
    assert frequencies[power.argmax()] == pytest.approx(wanted, rel=0.01)
    harmonic = sum(power[np.abs(frequencies - wanted * n) < 4].sum() for n in range(1, HARMONICS))
    assert harmonic / power.sum() > 0.995, "nothing was added: no clicks, no echo"


def test_nothing_asked_for_changes_no_sample() -> None:
    samples = voice(120)
    assert shaped(samples, OUTPUT_RATE, Prosody()) is samples or np.array_equal(
        shaped(samples, OUTPUT_RATE, Prosody()), samples
    )


@pytest.mark.parametrize("size", [0, 1, 7, 300, 2_000])
def test_the_shortest_sounds_have_their_length_too(size: int) -> None:
    made = shaped(np.full(size, 0.1, np.float32), OUTPUT_RATE, Prosody(0.5))
    assert made.size == 2 * size
    assert np.isfinite(made).all()


def test_silence_stays_silent() -> None:
    made = shaped(np.zeros(OUTPUT_RATE, np.float32), OUTPUT_RATE, Prosody(0.7, 2, 4))
    assert not made.any()


def test_energy_is_a_factor_as_long_as_there_is_room_and_never_clips() -> None:
    quiet = 0.1 * np.sin(np.arange(1_000) / 10).astype(np.float32)
    assert np.allclose(louder(quiet, 2.0), 2 * quiet, atol=1e-6)
    loudest = louder(np.array([-1.0, -0.5, 0.5, 1.0], np.float32), 4.0)
    assert (np.abs(loudest) <= 1.0).all()
    assert (np.diff(loudest) >= 0).all()
    assert louder(quiet, 2.0).dtype == np.float32

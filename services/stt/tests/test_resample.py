import numpy as np
import numpy.typing as npt
import pytest

from chammal_stt.messages import SAMPLE_RATE
from chammal_stt.resample import Resampler


def tone(hertz: float, rate: int, seconds: float = 1.0) -> npt.NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)[:, np.newaxis]


def resampled(samples: npt.NDArray[np.float32], rate: int, size: int = 1_000) -> npt.NDArray[np.int16]:
    resampler = Resampler(rate, samples.shape[1])
    parts = [resampler.feed(samples[at : at + size]) for at in range(0, len(samples), size)]
    return np.concatenate([*parts, resampler.finish()])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_a_tone_stays_the_same_tone_for_the_same_time(rate: int) -> None:
    made = resampled(tone(440, rate), rate)[:, 0]
    assert abs(len(made) - SAMPLE_RATE) <= 1
    expected = tone(440, SAMPLE_RATE)[:, 0] * 32768
    middle = slice(1_000, 15_000)
    assert np.abs(made[middle] - expected[middle]).max() < 8


def test_what_16_khz_cannot_hold_does_not_come_back_as_another_tone() -> None:
    made = resampled(tone(11_000, 48_000), 48_000)
    assert np.abs(made[1_000:-1_000]).max() <= 1


def test_chunks_do_not_show() -> None:
    whole = resampled(tone(440, 44_100), 44_100, 1 << 20)
    np.testing.assert_array_equal(resampled(tone(440, 44_100), 44_100, 441), whole)


def test_samples_at_16_khz_pass_unchanged() -> None:
    samples = np.random.default_rng(1).integers(-32768, 32768, (1_000, 1)).astype(np.int16)
    resampler = Resampler(SAMPLE_RATE)
    np.testing.assert_array_equal(resampler.feed(samples), samples)
    np.testing.assert_array_equal(resampler.feed((samples / 32768).astype(np.float32)), samples)


def test_whole_numbers_and_floats_mean_the_same() -> None:
    samples = (tone(300, 8_000) * 32768).astype(np.int16)
    from_floats = resampled((samples / 32768).astype(np.float32), 8_000)
    resampler = Resampler(8_000)
    np.testing.assert_array_equal(np.concatenate([resampler.feed(samples), resampler.finish()]), from_floats)


@pytest.mark.parametrize("rate", [0, -1, 999, 2_000_000_000])
def test_a_rate_that_is_none_is_refused(rate: int) -> None:
    with pytest.raises(ValueError, match="Hz"):
        Resampler(rate)

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chammal_stt.messages import SAMPLE_RATE
from chammal_stt.windows import windows


@given(st.integers(0, 12 * SAMPLE_RATE), st.integers(2, 5))
def test_windows_are_bounded_and_together_are_the_recording(length: int, seconds: int) -> None:
    samples = np.arange(length, dtype=np.int64).astype(np.int16)
    parts = list(windows(samples, seconds))
    assert all(len(part) <= seconds * SAMPLE_RATE for _, part in parts)
    assert [start for start, _ in parts] == list(np.cumsum([0, *(len(part) for _, part in parts[:-1])]))
    assert np.array_equal(np.concatenate([part for _, part in parts]), samples)


def test_the_cut_falls_into_the_pause() -> None:
    samples = np.random.default_rng(0).integers(-9000, 9000, 20 * SAMPLE_RATE).astype(np.int16)
    samples[7 * SAMPLE_RATE : 8 * SAMPLE_RATE] = 0
    (_, first), *_ = windows(samples, 10)
    assert 7 * SAMPLE_RATE <= len(first) <= 8 * SAMPLE_RATE

"""Another sample rate. The only module that imports soxr."""

import soxr  # type: ignore[import-untyped]

from chammal_tts.engine import Samples


def resampled(samples: Samples, rate: float, wanted: float) -> Samples:
    """Rates in samples a second; `rate` need not be the true one, which shifts the pitch with the duration."""
    if rate == wanted or not samples.size:
        return samples
    converted: Samples = soxr.resample(samples, rate, wanted)
    return converted

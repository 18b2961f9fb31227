"""Any rate to 16 kHz, as a stream. The only module that imports soxr."""

import numpy as np
import numpy.typing as npt
import soxr  # type: ignore[import-untyped]

from chammal_stt.messages import SAMPLE_RATE

RATES = range(1_000, 768_001)
"""Hz that can be resampled."""


class Resampler:
    """Each array holds one row a sample and one column a channel."""

    def __init__(self, rate: int, channels: int = 1) -> None:
        if rate not in RATES:
            raise ValueError(f"a rate of {rate} Hz")
        self._stream = None
        if rate != SAMPLE_RATE:
            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, channels, dtype="float32", quality=soxr.HQ)
        self._nothing = np.empty((0, channels), np.float32)

    def feed(self, samples: npt.NDArray[np.float32] | npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """What is ready; up to 40 ms stay inside, from 8 kHz up to 115 ms. Floats count from -1 to 1."""
        return self._resample(samples, last=False)

    def finish(self) -> npt.NDArray[np.int16]:
        """What stayed inside. Nothing can be fed after it."""
        return self._resample(self._nothing, last=True)

    def _resample(
        self, samples: npt.NDArray[np.float32] | npt.NDArray[np.int16], *, last: bool
    ) -> npt.NDArray[np.int16]:
        if samples.dtype == np.int16:
            if self._stream is None:
                return samples.astype(np.int16, copy=False)
            samples = samples * np.float32(1 / 32768)
        if self._stream is not None:
            samples = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32), last=last)
        rounded = np.rint(samples * np.float32(32768))
        return np.asarray(np.clip(rounded, -32768, 32767), np.int16)

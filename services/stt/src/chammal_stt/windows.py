"""Cuts a long recording into windows of bounded size, each at the quietest point near its end."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from chammal_stt.messages import SAMPLE_RATE

Samples = npt.NDArray[np.int16]

WINDOW_SECONDS = 300
SEARCH_SECONDS = 30
"""How far before its end a window may be cut short."""
_FRAME = SAMPLE_RATE // 10


def windows(samples: Samples, window_seconds: int = WINDOW_SECONDS) -> Iterator[tuple[int, Samples]]:
    """Yields (first sample, samples); together they are the recording, nothing twice and nothing left out."""
    size = window_seconds * SAMPLE_RATE
    start = 0
    while len(samples) - start > size:
        end = start + size
        search_from = end - min(SEARCH_SECONDS * SAMPLE_RATE, size // 2)
        cut = search_from + _quietest(samples[search_from:end])
        yield start, samples[start:cut]
        start = cut
    yield start, samples[start:]


def _quietest(samples: Samples) -> int:
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float32)
    energy = np.convolve((frames**2).mean(axis=1), np.ones(3), mode="same")
    energy[0] = energy[-1] = np.inf  # their sums lack a neighbour
    return int(energy.argmin()) * _FRAME + _FRAME // 2

"""Samples of any type and any number of channels, as rows of floats from -1 to 1, mixed."""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]

_LOUDEST = np.float32(4.0)
"""Beyond full scale, for a mix to bring back down; a broken file holds any number."""
_OPPOSED = 0.01
"""Of the energy of two channels, what is left in their sum when one is the other turned upside down."""


def floats(samples: npt.NDArray[np.generic]) -> Rows:
    kind = samples.dtype
    if kind == np.uint8:
        return samples.astype(np.float32) * np.float32(1 / 128) - np.float32(1)
    if kind.kind == "i":
        return samples.astype(np.float32) * np.float32(2.0 ** (1 - 8 * kind.itemsize))
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.nan_to_num(samples.astype(np.float32), copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -_LOUDEST, _LOUDEST)


def mixed(samples: Rows, channels: int) -> Rows:
    """One channel from all, or two of whatever there is."""
    if samples.shape[1] == channels:
        return samples
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    return np.repeat(_mean(samples)[:, np.newaxis], channels, axis=1)


def _mean(samples: Rows) -> Rows:
    channels = samples.shape[1]
    mean: Rows = samples @ np.full(channels, 1 / channels, np.float32)
    if channels == 2 and 4 * np.dot(mean, mean) < _OPPOSED * np.einsum("ij,ij->", samples, samples):
        return samples[:, 0]
    return mean

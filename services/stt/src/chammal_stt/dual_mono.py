"""Whether two channels hold one sound, told while they stream by."""

import numpy as np

from chammal_stt.vad import Samples

_RESIDUAL = 1e-3
"""-30 dB: of the energy of the second channel, what the first, scaled, may leave unexplained in the whole recording."""
_BLOCK_RESIDUAL = 0.1
"""The same for every second or so of it: what is short and different is a second speaker all the same."""
_INAUDIBLE = 1e-6
"""-60 dBFS, as mean square: what is left over may be the noise of a codec."""
_FARTHEST = 100.0
"""20 dB, as power. A copy that is fainter is bleed-through, and whose channel it is can be told."""
_FULL_SCALE_POWER = float(1 << 30)


class DualMono:
    def __init__(self) -> None:
        self._blocks: list[tuple[float, float, float]] = []

    def feed(self, left: Samples, right: Samples) -> None:
        """A second or so of each."""
        pair = np.stack((left, right)).astype(np.float32)
        products = (pair @ pair.T).astype(np.float64) / max(1, len(left)) / _FULL_SCALE_POWER
        self._blocks.append((products[0, 0], products[1, 1], products[0, 1]))

    def verdict(self) -> bool:
        """Also when one of them is somewhat quieter, or turned upside down; not when one of them is silent."""
        if not self._blocks:
            return False
        left, right, both = np.array(self._blocks).T
        if not left.sum() or not left.sum() / _FARTHEST < right.sum() < left.sum() * _FARTHEST:
            return False
        gain = both.sum() / left.sum()
        copy = gain * gain * left
        residual = right - 2 * gain * both + copy
        alike = (residual <= _BLOCK_RESIDUAL * (right + copy)) | (residual <= _INAUDIBLE)
        return bool(residual.sum() < _RESIDUAL * right.sum() and alike.all())

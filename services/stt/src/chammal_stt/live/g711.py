"""G.711, the coding of telephone lines: a byte a sample."""

import numpy as np
from numpy.typing import NDArray

from chammal_contracts.live import AudioEncoding


def _ulaw(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw(code: int) -> int:
    code ^= 0x55
    exponent, magnitude = (code & 0x70) >> 4, ((code & 0x0F) << 4) + 8
    if exponent:
        magnitude = magnitude + 0x100 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


_TABLES = {
    AudioEncoding.G711_ULAW: np.array([_ulaw(code) for code in range(256)], np.int16),
    AudioEncoding.G711_ALAW: np.array([_alaw(code) for code in range(256)], np.int16),
}


def expand(encoding: AudioEncoding, codes: bytes) -> NDArray[np.int16]:
    """A sample for each byte."""
    return _TABLES[encoding][np.frombuffer(codes, np.uint8)]

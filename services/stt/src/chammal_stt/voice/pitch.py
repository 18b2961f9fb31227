"""The fundamental frequency of a voice, by SwiftF0 (MIT). Only this imports swift_f0, in the recogniser."""

import numpy as np
from swift_f0 import SwiftF0

from chammal_stt.messages import SAMPLE_RATE
from chammal_stt.voice.measure import HOP, Audio, Contour

_LOWEST, _HIGHEST = 60.0, 500.0
"""Hz, of speech."""
_VOICED = 0.5
"""SwiftF0's own threshold."""


class PitchDetector:
    def __init__(self) -> None:
        self._detector = SwiftF0(threads=1, spin=False)

    def contour(self, audio: Audio) -> Contour:
        frames = len(audio) // HOP
        if not frames:
            return Contour(np.empty(0), np.empty(0, np.bool_))
        found = self._detector.detect(audio, SAMPLE_RATE, _LOWEST, _HIGHEST)
        return Contour(found.pitch_hz[:frames], found.confidence[:frames] >= _VOICED)

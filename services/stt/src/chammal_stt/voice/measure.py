"""What a voice is like in a stretch of audio: pitch, loudness, noise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chammal_stt.messages import SAMPLE_RATE, VoiceMeasure

Audio = npt.NDArray[np.float32]
"""One channel at 16 kHz, -1 to 1."""
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

HOP = 256
"""Samples a frame: 16 ms."""
_FRAMES_A_SECOND = SAMPLE_RATE / HOP
_LEAST_FRAMES = 12
"""0.2 s of speech; less is not measured."""
_LEAST_VOICED = 6
"""0.1 s with a pitch; with less the pitch counts as not measured."""
_FAINTEST, _LOUDEST = 0.05, 0.25
"""Of the loud frames' level: where the threshold of speech lies, by how much noise there is below."""
_ABOVE_NOISE = 2.0
_AUDIBLE = 1e-3
"""Of full scale. Nothing quieter is speech."""
_EDGE = 6
"""Frames: speech goes on so far around what has a pitch."""


@dataclass(frozen=True, slots=True)
class Contour:
    """One value for each whole frame of HOP samples."""

    f0: Floats
    """Hz; of meaning only where `voiced`."""
    voiced: Flags


class Measured:
    """One piece of audio, of which any stretch can be told."""

    def __init__(self, audio: Audio, contour: Contour) -> None:
        frames = audio[: len(contour.f0) * HOP].reshape(-1, HOP)
        self._contour = contour
        self._level = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1))
        self._crossings = np.mean(np.diff(np.signbit(frames), axis=1), axis=1)

    def stretch(self, start: float, end: float) -> VoiceMeasure | None:
        """Of the seconds from `start` to `end`; None where there is too little speech in them."""
        part = slice(max(0, int(start * _FRAMES_A_SECOND)), max(0, round(end * _FRAMES_A_SECOND)))
        level, voiced = self._level[part], self._contour.voiced[part]
        speech = _speech(level, voiced)
        sounding = np.flatnonzero(speech)
        if len(sounding) < _LEAST_FRAMES:
            return None
        voiced = voiced & speech
        f0 = self._contour.f0[part][voiced]
        known = len(f0) >= _LEAST_VOICED
        return VoiceMeasure(
            f0_hz=round(float(f0.mean()), 1) if known else 0.0,
            f0_deviation_hz=round(float(f0.std()), 1) if known else 0.0,
            rms=round(float(np.sqrt(np.mean(np.square(level[speech])))), 4),
            zcr=round(float(self._crossings[part][speech].mean()), 4),
            voiced_share=round(float(voiced.sum() / len(sounding)), 3),
            seconds=round(float(sounding[-1] + 1 - sounding[0]) / _FRAMES_A_SECOND, 3),
        )


def _speech(level: Floats, voiced: Flags) -> Flags:
    """Frames that sound, between the first and the last that have a pitch, and a little around them."""
    if not len(level):
        return np.zeros(0, np.bool_)
    loud, quiet = np.percentile(level, (95, 5))
    threshold = max(_AUDIBLE, float(np.clip(_ABOVE_NOISE * quiet, _FAINTEST * loud, _LOUDEST * loud)))
    speech = level >= threshold
    pitched = np.flatnonzero(voiced & speech)
    if len(pitched) >= _LEAST_VOICED:
        speech[: max(0, pitched[0] - _EDGE)] = False
        speech[pitched[-1] + 1 + _EDGE :] = False
    return np.asarray(speech)

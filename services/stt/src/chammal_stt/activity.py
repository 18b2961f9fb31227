"""Speech and loudness of one channel, while its samples stream by."""

import base64

import numpy as np
import numpy.typing as npt

from chammal_stt.messages import SPEECH_FRAME, ChannelActivity
from chammal_stt.vad import Samples, SpeechDetector

QUIETEST = 120
"""-dBFS of digital silence."""


class ActivityMeter:
    def __init__(self) -> None:
        self._detector = SpeechDetector()
        self._speech = bytearray()
        self._level = bytearray()

    def feed(self, samples: Samples) -> None:
        """Whole frames, but for the last of the recording."""
        self._record(self._detector.feed(samples))
        whole = len(samples) - len(samples) % SPEECH_FRAME
        self._level += levels(samples[:whole].reshape(-1, SPEECH_FRAME)).tobytes()
        if whole < len(samples):
            self._record(self._detector.finish())
            self._level += levels(samples[np.newaxis, whole:]).tobytes()

    def activity(self) -> ChannelActivity:
        return ChannelActivity(base64.b64encode(self._speech).decode(), base64.b64encode(self._level).decode())

    def _record(self, speech: npt.NDArray[np.float32]) -> None:
        self._speech += np.rint(speech * 255).astype(np.uint8).tobytes()


def levels(frames: Samples) -> npt.NDArray[np.uint8]:
    """Of each row, as -dBFS (RMS)."""
    power = np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / frames.shape[1] / (1 << 30)
    decibels = -10 * np.log10(np.maximum(power, 10 ** (-QUIETEST / 10)))
    return np.asarray(np.rint(decibels), np.uint8)

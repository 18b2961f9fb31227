"""Bytes of a live stream to frames of 16 kHz samples, each with its probability of speech."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chammal_contracts.live import AudioEncoding, Start
from chammal_stt.activity import levels
from chammal_stt.live.g711 import expand
from chammal_stt.messages import SPEECH_FRAME
from chammal_stt.resample import Resampler
from chammal_stt.vad import SpeechDetector


@dataclass(frozen=True, slots=True)
class Frame:
    samples: bytes
    """SPEECH_FRAME of them, signed 16 bit in native order."""
    speech: float
    level: float
    """dBFS (RMS)."""


class Ear:
    def __init__(self, start: Start) -> None:
        self.sample_bytes = 2 if start.encoding is AudioEncoding.PCM_S16LE else 1
        self._encoding = start.encoding
        self._resampler = Resampler(start.sample_rate)
        self._detector = SpeechDetector()
        self._bytes = b""
        self._samples: NDArray[np.int16] = np.empty(0, np.int16)

    @property
    def odd_bytes(self) -> int:
        """That make no whole sample yet."""
        return len(self._bytes)

    def hear(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. A sample may be cut in two between messages."""
        data = self._bytes + data
        whole = len(data) - len(data) % self.sample_bytes
        self._bytes = data[whole:]
        if not whole:
            return []
        return self._frames(self._resampler.feed(self._decode(data[:whole])[:, np.newaxis]))

    def finish(self) -> list[Frame]:
        """What is left, filled up with silence."""
        rest = self._resampler.finish()
        missing = -(len(self._samples) + len(rest)) % SPEECH_FRAME
        return self._frames(np.concatenate((rest, np.zeros((missing, 1), np.int16))))

    def _decode(self, data: bytes) -> NDArray[np.int16]:
        if self._encoding is AudioEncoding.PCM_S16LE:
            return np.frombuffer(data, "<i2").astype(np.int16, copy=False)
        return expand(self._encoding, data)

    def _frames(self, column: NDArray[np.int16]) -> list[Frame]:
        fresh = column[:, 0]
        samples = np.concatenate((self._samples, fresh))
        rows = samples[: len(samples) - len(samples) % SPEECH_FRAME].reshape(-1, SPEECH_FRAME)
        self._samples = samples[rows.size :]
        speech = self._detector.feed(np.ascontiguousarray(fresh))
        loudness = -levels(rows).astype(np.float32)
        return [
            Frame(row.tobytes(), float(probability), float(level))
            for row, probability, level in zip(rows, speech, loudness, strict=True)
        ]

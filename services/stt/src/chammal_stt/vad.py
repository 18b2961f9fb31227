"""Where speech is, by Silero VAD as a stream. The only module that imports onnxruntime."""

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException  # type: ignore[import-untyped]

from chammal_stt.messages import SPEECH_FRAME

Samples = npt.NDArray[np.int16]
Probabilities = npt.NDArray[np.float32]

_CONTEXT = 64
"""Samples before a frame that the model sees with it."""
_BLOCK = 64
"""Frames, 2 s. After a block without speech the model starts afresh: a minute of silence makes it miss what follows."""
_NO_SPEECH = 0.2
_STATE = (1, 1, 128)
_FULL_SCALE = np.float32(1 / 32768)


class SpeechDetector:
    """For one channel, 16 kHz. A frame costs 60 µs of one core when many come at once, 100 µs alone."""

    def __init__(self) -> None:
        self._session = _session()
        self._pending = np.zeros(_CONTEXT, np.int16)
        """The context, and after it what is not yet a whole frame."""
        self._hidden = self._cell = np.zeros(_STATE, np.float32)
        self._frames = 0
        """Of the current block."""
        self._heard = False

    def feed(self, samples: Samples) -> Probabilities:
        """One probability of speech for each SPEECH_FRAME that is now whole."""
        pending = np.concatenate((self._pending, samples))
        whole = (len(pending) - _CONTEXT) // SPEECH_FRAME
        self._pending = pending[whole * SPEECH_FRAME :].copy()
        if not whole:
            return np.empty(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(pending, _CONTEXT + SPEECH_FRAME)[::SPEECH_FRAME]
        speech, at = [], 0
        while at < whole:
            count = min(whole - at, _BLOCK - self._frames)
            speech.append(self._run(windows[at : at + count]))
            at += count
        return np.concatenate(speech)

    def finish(self) -> Probabilities:
        """The probability of the rest, filled up with silence; none when there is no rest."""
        return self.feed(np.zeros(-(len(self._pending) - _CONTEXT) % SPEECH_FRAME, np.int16))

    def _run(self, windows: Samples) -> Probabilities:
        """No further than to the end of the block."""
        if len(windows) == _BLOCK and not self._hidden.any() and not windows.any():
            return _silence()
        inputs = {"input": windows * _FULL_SCALE, "h": self._hidden, "c": self._cell}
        try:
            speech, self._hidden, self._cell = self._session.run(None, inputs)
        except (Fail, RuntimeException) as error:  # the model and the shapes are good: it was std::bad_alloc
            raise MemoryError(str(error)) from error
        self._frames += len(windows)
        self._heard = self._heard or bool(speech.max() >= _NO_SPEECH)
        if self._frames == _BLOCK:
            if not self._heard:
                self._hidden = self._cell = np.zeros(_STATE, np.float32)
            self._frames, self._heard = 0, False
        return np.asarray(speech, np.float32).reshape(-1)


@cache
def _silence() -> Probabilities:
    """A block of nothing at all, as a muted channel sends it, is always the same: it is worked out once."""
    one_short = np.zeros((_BLOCK - 1) * SPEECH_FRAME, np.int16)
    detector = SpeechDetector()
    return np.concatenate((detector.feed(one_short), detector.feed(one_short[:SPEECH_FRAME])))


@cache
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(_weights(), sess_options=options, providers=["CPUExecutionProvider"])


def _weights() -> Path:
    """They come with faster_whisper, which is not imported for them: it takes a second and 100 MB."""
    package = importlib.util.find_spec("faster_whisper")
    if package is None or package.origin is None:
        raise FileNotFoundError("faster_whisper, which brings the weights of the voice activity detector")
    return Path(package.origin).parent / "assets" / "silero_vad_v6.onnx"

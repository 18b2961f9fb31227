"""Kokoro-82M through onnxruntime. The only module that imports it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]

from chammal_tts.engine import Capabilities, Samples, Speech, Stop, Stopped, Utterance
from chammal_tts.kokoro_letters import LETTERS
from chammal_tts.phonemes import phonemes
from chammal_tts.script import Language
from chammal_tts.voices import Voice, find_voice

SAMPLE_RATE = 24_000
MAX_PHONEMES = 510
_STYLE_SIZE = 256
_SILENCE = 0.008
"""Amplitude below which the model's own lead-in and tail are cut."""
_MARGIN = int(0.03 * SAMPLE_RATE)
_PACE = {Language.KO: 0.9, Language.EN: 1.0}
"""Left to itself the model says 6 Korean syllables a second; at 5.3 more of them are understood."""


class Kokoro:
    name = "kokoro"
    sample_rate = SAMPLE_RATE
    capabilities = Capabilities(languages=frozenset({Language.KO, Language.EN}), speeds=(0.5, 2.0))

    def __init__(self, folder: Path, threads: int) -> None:
        """Reads `model.onnx` and `voices/*.bin` (float32 [510, 1, 256]) of `folder`. Takes about a second."""
        ort.disable_telemetry_events()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait would take the processor from recognition on the same machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self._tokens_name = next(i.name for i in self._session.get_inputs() if i.name not in ("style", "speed"))
        self._styles = {path.stem: _read_style(path) for path in sorted((folder / "voices").glob("*.bin"))}
        self.voices = frozenset(self._styles)

    def voice(self, name: str) -> Voice | None:
        return find_voice(name, self.voices)

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        sounds = phonemes(utterance.text)
        parts = [self._infer(part, utterance, stop) for part in _fitting(sounds)]
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return Speech(samples, len(sounds))

    def _infer(self, sounds: str, utterance: Utterance, stop: Stop) -> Samples:
        tokens = [LETTERS[letter] for letter in sounds if letter in LETTERS]
        if not tokens:
            return np.zeros(0, np.float32)
        styles = self._styles[utterance.voice]
        inputs = {
            self._tokens_name: np.array([[0, *tokens, 0]], np.int64),
            "style": styles[min(len(tokens), len(styles) - 1)],
            "speed": np.array([utterance.speed * _PACE[utterance.language]], np.float32),
        }
        run = ort.RunOptions()
        with stop.interrupts(lambda: setattr(run, "terminate", True)):
            try:
                (audio, *_) = self._session.run(None, inputs, run)
            except Exception as error:  # onnxruntime has a class of its own for a terminated run
                if stop.requested:
                    raise Stopped from error
                raise
        return _trimmed(np.asarray(audio, np.float32).ravel())


def _read_style(path: Path) -> Samples:
    return np.fromfile(path, np.float32).reshape(-1, 1, _STYLE_SIZE)


def _fitting(sounds: str) -> Iterator[str]:
    """Parts that the model can take, cut at spaces."""
    while len(sounds) > MAX_PHONEMES:
        cut = sounds.rfind(" ", 1, MAX_PHONEMES)
        cut = cut if cut > 0 else MAX_PHONEMES
        yield sounds[:cut]
        sounds = sounds[cut:].lstrip()
    if re.search(r"\w", sounds):
        yield sounds


def _trimmed(audio: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(audio) > _SILENCE)
    if not loud.size:
        return audio[:0]
    return audio[max(0, loud[0] - _MARGIN) : loud[-1] + _MARGIN]

"""Supertonic 3, an option: Korean and English at 44.1 kHz. The only module that imports supertonic.

Its code is MIT, its weights OpenRAIL-M, which forbids some uses; so neither comes with Chammal.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from supertonic import TTS  # type: ignore[import-not-found, unused-ignore]

from chammal_tts.engine import Capabilities, Speech, Stop, Stopped, Utterance
from chammal_tts.script import Language
from chammal_tts.voices import ALIASES, Voice

MODEL = "supertonic-3"
_MEN = frozenset({"ash", "ballad", "cedar", "echo", "fable", "onyx", "verse"})


class Supertonic:
    name = "supertonic"
    capabilities = Capabilities(languages=frozenset(Language), speeds=(0.7, 2.0))

    def __init__(self, folder: Path, threads: int) -> None:
        """Raises FileNotFoundError where the weights are not in `folder`."""
        self._model = TTS(model=MODEL, model_dir=folder, auto_download=False, intra_op_num_threads=threads)
        self.sample_rate: int = self._model.sample_rate
        self._styles: Mapping[str, Any] = {
            name: self._model.get_voice_style(name) for name in self._model.voice_style_names
        }
        self.voices = frozenset(self._styles)

    def voice(self, name: str) -> Voice | None:
        """OpenAI's names are its women and men in turn."""
        if name in self.voices:
            return Voice(name, name, name)
        if name.lower() not in ALIASES:
            return None
        kind = "M" if name.lower() in _MEN else "F"
        alike = [alias for alias in ALIASES if (alias in _MEN) == (kind == "M")]
        own = sorted(voice for voice in self.voices if voice.startswith(kind)) or sorted(self.voices)
        chosen = own[alike.index(name.lower()) % len(own)]
        return Voice(name, chosen, chosen)

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        """A stop is heeded before the sentence; its library offers none within."""
        if stop.requested:
            raise Stopped
        samples, _ = self._model.synthesize(
            utterance.text,
            voice_style=self._styles[utterance.voice],
            speed=utterance.speed,
            lang=utterance.language.value,
        )
        return Speech(np.asarray(samples, np.float32).ravel(), len(utterance.text))

"""Piper, an option: light, and without Korean. The only module that imports piper.

It is under the GPL (3 or later), so it is no part of Chammal: whoever wants it installs it beside it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from piper import PiperVoice, SynthesisConfig  # type: ignore[import-not-found, unused-ignore]

from chammal_tts.engine import Capabilities, Samples, Speech, Stop, Stopped, Utterance
from chammal_tts.resample import resampled
from chammal_tts.script import Language
from chammal_tts.shaping import OUTPUT_RATE
from chammal_tts.voices import ALIASES, Voice


class NoVoice(Exception):
    """None of its files is a voice for Korean or English."""


class Piper:
    name = "piper"
    sample_rate = OUTPUT_RATE

    def __init__(self, files: Sequence[Path]) -> None:
        """`files` are named as Piper names its voices: `en_US-lessac-medium.onnx`."""
        known = {language.value: language for language in Language}
        spoken = {path.stem: known[path.stem[:2]] for path in files if path.stem[:2] in known}
        if not spoken:
            raise NoVoice("CHAMMAL_TTS_PIPER_VOICES names no voice for Korean or English.")
        self._models = {path.stem: PiperVoice.load(path) for path in files if path.stem in spoken}
        self._spoken = spoken
        self.voices = frozenset(spoken)
        self.capabilities = Capabilities(languages=frozenset(spoken.values()), speeds=(0.5, 2.0))

    def voice(self, name: str) -> Voice | None:
        if name not in self._spoken and name.lower() not in ALIASES:
            return None
        own = {language: voice for voice, language in reversed(self._spoken.items())}
        if name in self._spoken:
            own[self._spoken[name]] = name
        some = next(iter(own.values()))
        return Voice(name, own.get(Language.EN, some), own.get(Language.KO, some))

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        config = SynthesisConfig(length_scale=1.0 / utterance.speed, normalize_audio=False)
        parts: list[Samples] = []
        for chunk in self._models[utterance.voice].synthesize(utterance.text, config):
            if stop.requested:
                raise Stopped
            parts.append(resampled(np.asarray(chunk.audio_float_array, np.float32), chunk.sample_rate, OUTPUT_RATE))
        return Speech(np.concatenate(parts) if parts else np.zeros(0, np.float32), len(utterance.text))

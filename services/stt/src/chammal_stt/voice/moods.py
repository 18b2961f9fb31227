"""Moods of utterances as they come, and of a recording as a whole; and why there is none."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chammal_contracts.voice import Emotion, Voice, VoiceFeatures, VoiceMissing
from chammal_stt.messages import VoiceMeasure
from chammal_stt.metrics import VOICES, VoiceOutcome
from chammal_stt.voice.rules import VoiceRules
from chammal_stt.voice.speaker import Speaker, features

_PASSES = 2
"""In the first, every utterance counts the same."""


class Measured(Protocol):
    """A Recognition or a RecognisedSegment whose voice was asked for."""

    @property
    def voice(self) -> VoiceMeasure | None: ...

    @property
    def voice_error(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Said:
    speaker: Hashable
    measured: Measured
    text: str


def mood(speaker: Speaker, measured: Measured, text: str, language: str) -> Voice | VoiceMissing:
    """Of the next utterance: judged by those before it, then one of them."""
    heard = _heard(measured, text, language)
    if isinstance(heard, VoiceMissing):
        return _counted(heard)
    voice = speaker.judge(heard, language)
    speaker.learn(heard, language, voice.emotion)
    return _counted(voice)


def moods(said: Sequence[Said], language: str, rules: VoiceRules) -> list[Voice | VoiceMissing]:
    """Each is judged by how its speaker is in all that was said."""
    all_heard = [_heard(one.measured, one.text, language) for one in said]
    all_moods = [Emotion.NEUTRAL] * len(said)
    voices: list[Voice | VoiceMissing] = []
    for _ in range(_PASSES):
        speakers = {one.speaker: Speaker(rules, remembered=len(said)) for one in said}
        for one, heard, emotion in zip(said, all_heard, all_moods, strict=True):
            if isinstance(heard, VoiceFeatures):
                speakers[one.speaker].learn(heard, language, emotion)
        voices = [
            speakers[one.speaker].judge(heard, language) if isinstance(heard, VoiceFeatures) else heard
            for one, heard in zip(said, all_heard, strict=True)
        ]
        all_moods = [voice.emotion if isinstance(voice, Voice) else Emotion.NEUTRAL for voice in voices]
    return [_counted(voice) for voice in voices]


def _heard(measured: Measured, text: str, language: str) -> VoiceFeatures | VoiceMissing:
    if measured.voice_error is not None:
        return VoiceMissing.FAILED
    if not text:
        return VoiceMissing.NO_TEXT
    return features(measured.voice, text, language) if measured.voice is not None else VoiceMissing.TOO_SHORT


def _counted(voice: Voice | VoiceMissing) -> Voice | VoiceMissing:
    VOICES.labels(VoiceOutcome(voice) if isinstance(voice, VoiceMissing) else VoiceOutcome.TOLD).inc()
    return voice

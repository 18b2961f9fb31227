"""One speaker's usual voice, and the mood of an utterance against it."""

from collections import deque
from dataclasses import dataclass
from statistics import median

from chammal_contracts.voice import Emotion, Voice, VoiceFeatures
from chammal_stt.messages import VoiceMeasure
from chammal_stt.voice.rules import VoiceRules, weigh
from chammal_stt.voice.syllables import syllables

_LEAST_SECONDS = 0.5
"""Of speech, from which a rate is told."""
_MILD = frozenset({Emotion.NEUTRAL, Emotion.CALM})
_MILD_WEIGHT = 2
"""Utterances in these moods tell more of how a speaker usually sounds."""
_OF_PITCH = frozenset({"f0_hz", "f0_deviation_hz"})


@dataclass(frozen=True, slots=True)
class _Heard:
    features: VoiceFeatures
    """With the rate as the thresholds have it."""
    pitched: bool
    weight: int


class Speaker:
    """Microphones, rooms and voices differ more than moods do: what a speaker usually sounds like counts as usual."""

    def __init__(self, rules: VoiceRules, remembered: int = 12) -> None:
        self._rules = rules
        self._heard: deque[_Heard] = deque(maxlen=remembered)

    def learn(self, features: VoiceFeatures, language: str, emotion: Emotion) -> None:
        weight = _MILD_WEIGHT if emotion in _MILD else 1
        self._heard.append(_Heard(self._scaled(features, language), self._is_pitched(features), weight))

    def judge(self, features: VoiceFeatures, language: str) -> Voice:
        rules = self._rules
        measured = self._is_pitched(features)
        if not measured:
            assumed = {"f0_hz": rules.assumed_f0_hz, "f0_deviation_hz": rules.assumed_f0_deviation_hz}
            features = features.model_copy(update=assumed)
        adapted = self._adapted(self._scaled(features, language), pitched=measured)
        probabilities, held = weigh(adapted, rules)
        return Voice(
            emotion=max(probabilities, key=lambda emotion: probabilities[emotion]),
            probabilities=probabilities,
            rules=held,
            f0_measured=measured,
            measured=features,
            adapted=adapted,
            baseline=len(self._heard),
        )

    def _scaled(self, features: VoiceFeatures, language: str) -> VoiceFeatures:
        rate = features.syllables_per_second
        if rate is None:
            return features
        scaled = round(rate * self._rules.rate_scale(language), 2)
        return features.model_copy(update={"syllables_per_second": scaled})

    def _is_pitched(self, features: VoiceFeatures) -> bool:
        return features.f0_hz > self._rules.unmeasured_f0_hz

    def _adapted(self, features: VoiceFeatures, *, pitched: bool) -> VoiceFeatures:
        moved = {}
        for name, usual in self._rules.usual_voice.items():
            value = getattr(features, name)
            if value is None or (name in _OF_PITCH and not pitched):
                continue
            heard = [one for one in self._heard if one.pitched or name not in _OF_PITCH]
            moved[name] = round(self._moved(value, name, heard, usual), 4)
        moved["zcr"] = min(1.0, moved["zcr"])
        return features.model_copy(update=moved)

    def _moved(self, value: float, name: str, heard: list[_Heard], usual: float) -> float:
        """By the ratio that makes the speaker's usual value the usual one; by less while little was heard."""
        own = [(getattr(one.features, name), one.weight) for one in heard]
        told = [(known, weight) for known, weight in own if known]
        if not told:
            return value
        trust = len(told) / (len(told) + self._rules.half_adapted)
        return float(value * (usual / median(known for known, weight in told for _ in range(weight))) ** trust)


def features(measure: VoiceMeasure, text: str, language: str) -> VoiceFeatures:
    count = syllables(text, language)
    told = count is not None and measure.seconds >= _LEAST_SECONDS
    return VoiceFeatures(
        f0_hz=measure.f0_hz,
        f0_deviation_hz=measure.f0_deviation_hz,
        rms=measure.rms,
        zcr=measure.zcr,
        syllables_per_second=round((count or 0) / measure.seconds, 2) if told else None,
        voiced_share=measure.voiced_share,
    )

"""One speaker's usual voice, and the mood of an utterance against it."""

from collections import deque
from statistics import median

from chammal_contracts.voice import Voice, VoiceFeatures
from chammal_stt.messages import VoiceMeasure
from chammal_stt.voice.rules import VoiceRules, weigh
from chammal_stt.voice.syllables import syllables

_LEAST_SECONDS = 0.5
"""Of speech, from which a rate is told."""


class Speaker:
    """Microphones, rooms and voices differ more than moods do: what a speaker usually sounds like counts as usual."""

    def __init__(self, rules: VoiceRules, remembered: int = 20) -> None:
        self._rules = rules
        self._heard: deque[VoiceFeatures] = deque(maxlen=remembered)

    def learn(self, features: VoiceFeatures, language: str) -> None:
        self._heard.append(self._scaled(features, language))

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
        rules, heard = self._rules, self._heard
        with_pitch = [one for one in heard if self._is_pitched(one)] if pitched else []
        rates = [one.syllables_per_second for one in heard if one.syllables_per_second]
        rate = features.syllables_per_second
        if rate is not None:
            rate = round(self._moved(rate, rates, rules.usual_rate), 2)
        deviation = features.f0_deviation_hz
        deviations = [one.f0_deviation_hz for one in with_pitch]
        return VoiceFeatures(
            f0_hz=round(self._moved(features.f0_hz, [one.f0_hz for one in with_pitch], rules.usual_f0_hz), 1),
            f0_deviation_hz=round(self._moved(deviation, deviations, rules.usual_f0_deviation_hz), 1),
            rms=round(self._moved(features.rms, [one.rms for one in heard], rules.usual_rms), 4),
            zcr=round(min(1.0, self._moved(features.zcr, [one.zcr for one in heard], rules.usual_zcr)), 4),
            syllables_per_second=rate,
            voiced_share=features.voiced_share,
        )

    def _moved(self, value: float, heard: list[float], usual: float) -> float:
        """By the ratio that makes the speaker's usual value the usual one; by less while little was heard."""
        own = median(heard) if heard else 0.0
        if own <= 0:
            return value
        trust = len(heard) / (len(heard) + self._rules.half_adapted)
        return float(value * (usual / own) ** trust)


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

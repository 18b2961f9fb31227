"""The rules that read a mood from a voice. docs/voice.md has the table, with where each came from."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from chammal_contracts.voice import Emotion, VoiceFeatures, VoiceRule

_WEIGHTS: Mapping[VoiceRule, Mapping[Emotion, float]] = {
    VoiceRule.R1: {Emotion.EXCITED: 0.6},
    VoiceRule.R2: {Emotion.HAPPY: 0.4},
    VoiceRule.R3: {Emotion.ANGRY: 0.5},
    VoiceRule.R4: {Emotion.SAD: 0.6},
    VoiceRule.R5: {Emotion.CALM: 0.3},
    VoiceRule.R6: {Emotion.CALM: 0.2},
    VoiceRule.R7: {Emotion.EXCITED: 0.2, Emotion.HAPPY: 0.1},
}


class VoiceRules(BaseModel):
    """Hz, share of full scale (rms), crossings a sample (zcr), syllables a second (rate)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    r1_f0_hz: float = 185.0
    r1_rms: float = 0.06
    r1_rate: float = 3.5
    r2_f0_hz: float = 155.0
    r2_rms: float = 0.04
    r3_rms: float = 0.07
    r3_zcr: float = 0.12
    r3_f0_deviation_hz: float = 35.0
    r4_f0_hz: float = 140.0
    r4_rms: float = 0.05
    r4_rate: float = 3.0
    r5_rms: float = 0.06
    r5_f0_deviation_hz: float = 28.0
    r5_rate_least: float = 2.0
    r5_rate_most: float = 4.5
    r6_rms: float = 0.03
    r7_rate: float = 4.5
    r7_rms: float = 0.05
    neutral: float = Field(default=0.10, gt=0)
    """What neutral begins with, and all others have to outdo."""
    ramp: float = Field(default=0.25, gt=0, le=1)
    """A rule counts in full when each value is past its threshold by this share of it, and in part before."""
    unmeasured_f0_hz: float = 50.0
    """A mean that is no higher counts as not measured."""
    assumed_f0_hz: float = 150.0
    assumed_f0_deviation_hz: float = 25.0
    usual_f0_hz: float = Field(default=145.0, gt=0)
    """The voice for which the thresholds hold. How a speaker usually sounds is moved towards it."""
    usual_f0_deviation_hz: float = Field(default=32.0, gt=0)
    usual_rms: float = Field(default=0.05, gt=0)
    usual_zcr: float = Field(default=0.10, gt=0)
    usual_rate: float = Field(default=3.5, gt=0)
    spoken_rate_ko: float = Field(default=6.5, gt=0)
    """The rate of ordinary speech, silence around it not counted; `usual_rate` stands for it in the rules."""
    spoken_rate_en: float = Field(default=5.0, gt=0)
    spoken_rate_other: float = Field(default=6.0, gt=0)
    half_adapted: float = Field(default=1.0, gt=0)
    """Utterances after which half of the difference is taken away."""

    @property
    def usual_voice(self) -> dict[str, float]:
        """By the names of VoiceFeatures."""
        return {
            "f0_hz": self.usual_f0_hz,
            "f0_deviation_hz": self.usual_f0_deviation_hz,
            "rms": self.usual_rms,
            "zcr": self.usual_zcr,
            "syllables_per_second": self.usual_rate,
        }

    def rate_scale(self, language: str) -> float:
        """From a rate as it is spoken to a rate as the thresholds have it."""
        spoken = {"ko": self.spoken_rate_ko, "en": self.spoken_rate_en}
        return self.usual_rate / spoken.get(language, self.spoken_rate_other)

    def past(self, value: float | None, threshold: float) -> float:
        """How far above the threshold, from 0 to 1. What could not be told is not above it."""
        return 0.0 if value is None else self._share(value - threshold, threshold)

    def short_of(self, value: float | None, threshold: float) -> float:
        return 0.0 if value is None else self._share(threshold - value, threshold)

    def _share(self, difference: float, threshold: float) -> float:
        return min(1.0, max(0.0, difference / (self.ramp * max(threshold, 1e-9))))


def weigh(features: VoiceFeatures, rules: VoiceRules) -> tuple[dict[Emotion, float], list[VoiceRule]]:
    """Probabilities of all moods, and the rules that held."""
    degrees = {rule: degree for rule, degree in _degrees(features, rules).items() if degree > 0}
    scores = dict.fromkeys(Emotion, 0.0) | {Emotion.NEUTRAL: rules.neutral}
    for rule, degree in degrees.items():
        for emotion, weight in _WEIGHTS[rule].items():
            scores[emotion] += weight * degree
    total = sum(scores.values())
    return {emotion: round(score / total, 4) for emotion, score in scores.items()}, list(degrees)


def _degrees(features: VoiceFeatures, rules: VoiceRules) -> dict[VoiceRule, float]:
    f0, deviation, rms, rate = features.f0_hz, features.f0_deviation_hz, features.rms, features.syllables_per_second
    past, short_of = rules.past, rules.short_of
    rough = max(past(features.zcr, rules.r3_zcr), past(deviation, rules.r3_f0_deviation_hz))
    even = min(short_of(deviation, rules.r5_f0_deviation_hz), short_of(rms, rules.r5_rms))
    moderate = min(past(rate, rules.r5_rate_least), short_of(rate, rules.r5_rate_most))
    return {
        VoiceRule.R1: min(past(f0, rules.r1_f0_hz), past(rms, rules.r1_rms), past(rate, rules.r1_rate)),
        VoiceRule.R2: min(past(f0, rules.r2_f0_hz), past(rms, rules.r2_rms)),
        VoiceRule.R3: min(past(rms, rules.r3_rms), rough),
        VoiceRule.R4: min(short_of(f0, rules.r4_f0_hz), short_of(rms, rules.r4_rms), short_of(rate, rules.r4_rate)),
        VoiceRule.R5: min(even, moderate),
        VoiceRule.R6: short_of(rms, rules.r6_rms),
        VoiceRule.R7: min(past(rate, rules.r7_rate), past(rms, rules.r7_rms)),
    }

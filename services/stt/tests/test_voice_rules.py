from pathlib import Path

import pytest
from pydantic import ValidationError

from chammal_contracts.voice import Emotion, VoiceFeatures, VoiceRule
from chammal_stt.settings import SttSettings
from chammal_stt.voice.rules import VoiceRules, weigh

RULES = VoiceRules()
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "voice.md"


def features(
    f0: float = 147, deviation: float = 32, rms: float = 0.05, zcr: float = 0.1, rate: float | None = 3.5
) -> VoiceFeatures:
    """A usual voice, but for what is named."""
    return VoiceFeatures(
        f0_hz=f0, f0_deviation_hz=deviation, rms=rms, zcr=zcr, syllables_per_second=rate, voiced_share=0.7
    )


def likeliest(voice: VoiceFeatures, rules: VoiceRules = RULES) -> Emotion:
    probabilities, _ = weigh(voice, rules)
    return max(probabilities, key=lambda emotion: probabilities[emotion])


@pytest.mark.parametrize(
    ("voice", "emotion", "rules"),
    [
        (features(), Emotion.NEUTRAL, set()),
        (features(f0=240, rms=0.08, rate=4.4), Emotion.EXCITED, {VoiceRule.R1, VoiceRule.R2}),
        (features(f0=200), Emotion.HAPPY, {VoiceRule.R2}),
        (features(rms=0.1, zcr=0.16), Emotion.ANGRY, {VoiceRule.R3}),
        (features(rms=0.1, deviation=50), Emotion.ANGRY, {VoiceRule.R3}),
        (features(f0=100, rms=0.035, rate=1.9), Emotion.SAD, {VoiceRule.R4}),
        (features(deviation=18, rms=0.04), Emotion.CALM, {VoiceRule.R5}),
        (features(rms=0.015), Emotion.CALM, {VoiceRule.R6}),
        (features(rms=0.068, rate=6.0), Emotion.EXCITED, {VoiceRule.R7}),
    ],
)
def test_each_mood_has_a_voice(voice: VoiceFeatures, emotion: Emotion, rules: set[VoiceRule]) -> None:
    assert likeliest(voice) is emotion
    assert set(weigh(voice, RULES)[1]) == rules


@pytest.mark.parametrize(
    ("rule", "at", "past"),
    [
        (VoiceRule.R1, {"f0": 185, "rms": 0.07, "rate": 4.0}, {"f0": 186, "rms": 0.07, "rate": 4.0}),
        (VoiceRule.R1, {"f0": 200, "rms": 0.06, "rate": 4.0}, {"f0": 200, "rms": 0.061, "rate": 4.0}),
        (VoiceRule.R1, {"f0": 200, "rms": 0.07, "rate": 3.5}, {"f0": 200, "rms": 0.07, "rate": 3.6}),
        (VoiceRule.R2, {"f0": 155, "rms": 0.05}, {"f0": 156, "rms": 0.05}),
        (VoiceRule.R2, {"f0": 160, "rms": 0.04}, {"f0": 160, "rms": 0.041}),
        (VoiceRule.R3, {"rms": 0.07, "zcr": 0.15}, {"rms": 0.071, "zcr": 0.15}),
        (VoiceRule.R3, {"rms": 0.08, "zcr": 0.12, "deviation": 35}, {"rms": 0.08, "zcr": 0.121, "deviation": 35}),
        (VoiceRule.R3, {"rms": 0.08, "zcr": 0.12, "deviation": 35}, {"rms": 0.08, "zcr": 0.12, "deviation": 36}),
        (VoiceRule.R4, {"f0": 140, "rms": 0.04, "rate": 2.5}, {"f0": 139, "rms": 0.04, "rate": 2.5}),
        (VoiceRule.R4, {"f0": 120, "rms": 0.05, "rate": 2.5}, {"f0": 120, "rms": 0.049, "rate": 2.5}),
        (VoiceRule.R4, {"f0": 120, "rms": 0.04, "rate": 3.0}, {"f0": 120, "rms": 0.04, "rate": 2.9}),
        (VoiceRule.R5, {"rms": 0.06, "deviation": 20}, {"rms": 0.059, "deviation": 20}),
        (VoiceRule.R5, {"deviation": 28}, {"deviation": 27}),
        (VoiceRule.R5, {"deviation": 20, "rate": 2.0}, {"deviation": 20, "rate": 2.1}),
        (VoiceRule.R5, {"deviation": 20, "rate": 4.5}, {"deviation": 20, "rate": 4.4}),
        (VoiceRule.R6, {"rms": 0.03}, {"rms": 0.029}),
        (VoiceRule.R7, {"rms": 0.06, "rate": 4.5}, {"rms": 0.06, "rate": 4.6}),
        (VoiceRule.R7, {"rms": 0.05, "rate": 5.0}, {"rms": 0.051, "rate": 5.0}),
    ],
)
def test_a_rule_holds_past_its_threshold_and_not_at_it(
    rule: VoiceRule, at: dict[str, float], past: dict[str, float]
) -> None:
    assert rule not in weigh(features(**at), RULES)[1]
    assert rule in weigh(features(**past), RULES)[1]


def test_a_value_barely_past_a_threshold_does_not_turn_the_mood() -> None:
    assert likeliest(features(f0=157)) is Emotion.NEUTRAL


def test_probabilities_sum_to_one() -> None:
    probabilities, _ = weigh(features(f0=220, rms=0.09, zcr=0.14, rate=5.0), RULES)
    assert set(probabilities) == set(Emotion)
    assert sum(probabilities.values()) == pytest.approx(1.0, abs=0.001)


def test_without_a_rate_no_rule_that_needs_one_holds() -> None:
    held = weigh(features(f0=240, rms=0.08, rate=None), RULES)[1]
    assert held == [VoiceRule.R2]


def test_thresholds_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_STT_VOICE_RULES", '{"r2_f0_hz": 300}')
    assert likeliest(features(f0=200), SttSettings().mood_rules) is Emotion.NEUTRAL
    assert SttSettings().mood_rules.r1_f0_hz == RULES.r1_f0_hz


def test_a_threshold_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_STT_VOICE_RULES", '{"r9_f0_hz": 300}')
    with pytest.raises(ValidationError, match="r9_f0_hz"):
        SttSettings()


def test_the_document_names_every_threshold_with_its_default() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    shown = dict(tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows)
    assert {name: shown.get(f"`{name}`") for name in VoiceRules.model_fields} == {
        name: f"{field.default:g}" for name, field in VoiceRules.model_fields.items()
    }

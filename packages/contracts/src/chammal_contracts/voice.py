"""How something was said: what was measured of the voice, and the mood that the rules of docs/voice.md read from it."""

from enum import StrEnum

from pydantic import BaseModel, Field


class Emotion(StrEnum):
    NEUTRAL = "neutral"
    HAPPY = "happy"
    EXCITED = "excited"
    ANGRY = "angry"
    SAD = "sad"
    CALM = "calm"


class VoiceRule(StrEnum):
    """The rules of docs/voice.md."""

    R1 = "R1"
    R2 = "R2"
    R3 = "R3"
    R4 = "R4"
    R5 = "R5"
    R6 = "R6"
    R7 = "R7"


class VoiceMissing(StrEnum):
    """Why there is no Voice, where one was asked for."""

    TOO_SHORT = "too_short"
    """Too little speech to measure."""
    NO_TEXT = "no_text"
    """Nothing that was written of it can be believed: it may be no speech at all."""
    FAILED = "failed"
    """The measurement failed; the service's log has the cause. The text is not affected."""


class VoiceFeatures(BaseModel):
    f0_hz: float
    """Mean of the fundamental frequency, or what is assumed where it was not measured."""
    f0_deviation_hz: float
    """Standard deviation of the same."""
    rms: float = Field(ge=0.0)
    """Of the speech, where full scale is 1."""
    zcr: float = Field(ge=0.0, le=1.0)
    """Zero crossings a sample at 16 kHz, of the speech."""
    syllables_per_second: float | None
    """From the text and the seconds from the first sound to the last. None where no syllables can be told."""
    voiced_share: float = Field(ge=0.0, le=1.0)
    """Of the speech, that has a pitch."""


class Voice(BaseModel):
    """One utterance, or one segment of a recording."""

    emotion: Emotion
    """The most probable."""
    probabilities: dict[Emotion, float]
    """All of them; they sum to 1. They order the moods, and are no measured frequencies."""
    rules: list[VoiceRule]
    """That held."""
    f0_measured: bool
    """When false, 150 Hz and 25 Hz were assumed, and energy decided."""
    measured: VoiceFeatures
    adapted: VoiceFeatures
    """What the rules saw: `measured`, moved towards a usual voice by how this language and this speaker usually are."""
    baseline: int = Field(ge=0)
    """Utterances that the speaker's usual voice was taken from; 0 adapts nothing."""

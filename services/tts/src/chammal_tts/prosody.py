"""How something is said: speed, pitch and energy, and what of them an emotion asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

from chammal_contracts.voice import Emotion

MIN_SPEED, MAX_SPEED = 0.25, 4.0
MAX_SEMITONES = 3.0
"""Further away a voice that is shifted no longer sounds like a person."""
MIN_ENERGY, MAX_ENERGY = 0.25, 4.0


@dataclass(frozen=True, slots=True)
class Prosody:
    speed: float = 1.0
    """A factor; 1 is the voice's own rate."""
    pitch: float = 0.0
    """Semitones above the voice's own."""
    energy: float = 1.0
    """A factor of the samples."""

    def also(self, other: "Prosody") -> "Prosody":
        """Both, within what can be spoken."""
        return Prosody(
            speed=_within(self.speed * other.speed, MIN_SPEED, MAX_SPEED),
            pitch=_within(self.pitch + other.pitch, -MAX_SEMITONES, MAX_SEMITONES),
            energy=_within(self.energy * other.energy, MIN_ENERGY, MAX_ENERGY),
        )


NEUTRAL = Prosody()

EMOTIONS: Mapping[Emotion, Prosody] = {
    Emotion.NEUTRAL: NEUTRAL,
    Emotion.HAPPY: Prosody(1.05, 1.0, 1.1),
    Emotion.EXCITED: Prosody(1.12, 1.5, 1.25),
    Emotion.ANGRY: Prosody(1.08, 0.5, 1.4),
    Emotion.SAD: Prosody(0.88, -1.0, 0.75),
    Emotion.CALM: Prosody(0.94, -0.5, 0.85),
}
"""The directions are those that studies of acted speech agree on (Scherer 2003, table 2); the sizes are small, since a
shifted voice soon sounds like a machine."""


def _within(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)

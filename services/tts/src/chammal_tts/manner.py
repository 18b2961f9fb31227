"""How a request wants something said, for an engine that reads instructions or one that does not."""

from dataclasses import dataclass

from chammal_contracts.speech import SpeechRequest
from chammal_contracts.voice import Emotion
from chammal_tts.engine import Capabilities
from chammal_tts.instructions import prosody_of
from chammal_tts.prosody import Prosody


@dataclass(frozen=True, slots=True)
class Manner:
    prosody: Prosody
    instructions: str | None = None
    emotion: Emotion | None = None


def manner_of(asked: SpeechRequest, capabilities: Capabilities) -> Manner:
    plain = Prosody(asked.speed, asked.pitch, asked.energy)
    if capabilities.instructions:
        return Manner(plain, asked.instructions, asked.emotion)
    return Manner(plain.also(prosody_of(asked.instructions, asked.emotion)))

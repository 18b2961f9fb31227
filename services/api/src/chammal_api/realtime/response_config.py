"""What one response is to be: the session's configuration, with what `response.create` changes of it."""

from dataclasses import dataclass
from typing import Literal, Self

from chammal_contracts.realtime_client import ResponseParams
from chammal_contracts.realtime_session import Alaw, MaxTokens, Pcm, SessionConfig, Ulaw, VoiceId


@dataclass(frozen=True, slots=True)
class ResponseConfig:
    conversation_id: str
    model: str | None
    """As the client named it."""
    instructions: str
    """Empty: the service's own."""
    modality: Literal["audio", "text"]
    voice: str
    speed: float
    format: Pcm | Ulaw | Alaw
    max_output_tokens: MaxTokens
    language: str | None
    """Of the session, where it was told."""
    metadata: dict[str, str] | None = None

    @classmethod
    def of(cls, session: SessionConfig, conversation_id: str, params: ResponseParams | None = None) -> Self:
        params = params or ResponseParams()
        out = session.audio.output
        voice = params.audio.output.voice if params.audio is not None else None
        heard = session.audio.input.transcription
        modalities = params.output_modalities or session.output_modalities
        return cls(
            conversation_id=conversation_id,
            model=session.model,
            instructions=session.instructions if params.instructions is None else params.instructions,
            modality=modalities[0],
            voice=(voice.id if isinstance(voice, VoiceId) else voice) or out.voice,
            speed=out.speed,
            format=out.format,
            max_output_tokens=params.max_output_tokens or session.max_output_tokens,
            language=heard.language if heard is not None else None,
            metadata=params.metadata,
        )

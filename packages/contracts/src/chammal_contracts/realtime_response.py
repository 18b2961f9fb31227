"""The response object of `WS /v1/realtime`, and how an answer came to be."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel

from chammal_contracts.realtime_items import Item
from chammal_contracts.realtime_session import AudioShape, MaxTokens, Pcm
from chammal_contracts.stages import StageReport


class CancelReason(StrEnum):
    TURN_DETECTED = "turn_detected"
    """The person spoke."""
    CLIENT_CANCELLED = "client_cancelled"


class ResponseStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class StatusError(BaseModel):
    type: str
    code: str
    message: str


class StatusDetails(BaseModel):
    type: ResponseStatus
    reason: CancelReason | Literal["max_output_tokens"] | None = None
    error: StatusError | None = None


class InputTokens(BaseModel):
    text_tokens: int = 0
    audio_tokens: int = 0
    cached_tokens: int = 0


class OutputTokens(BaseModel):
    text_tokens: int = 0
    audio_tokens: int = 0


class Usage(BaseModel):
    """Of the language model. Speech is not counted in tokens here: `audio_tokens` is 0."""

    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: InputTokens
    output_token_details: OutputTokens


class ReplyProvenance(BaseModel):
    """The extension object of `response.done`: how the answer came to be."""

    stages: list[StageReport] = []
    seconds: dict[str, float] = {}
    """Each part of the way from the end of speech to the first audio, and the whole (docs/realtime.md)."""
    left_out: int = 0
    """Items of the conversation that did not fit into the language model's budget."""


class RealtimeAudioOut(BaseModel):
    format: AudioShape = Pcm()
    voice: str


class RealtimeAudio(BaseModel):
    output: RealtimeAudioOut


class RealtimeResponse(BaseModel):
    id: str
    object: Literal["realtime.response"] = "realtime.response"
    status: ResponseStatus
    status_details: StatusDetails | None = None
    output: list[Item] = []
    conversation_id: str
    output_modalities: list[Literal["audio", "text"]]
    max_output_tokens: MaxTokens = "inf"
    audio: RealtimeAudio | None = None
    usage: Usage | None = None
    metadata: dict[str, str] | None = None
    chammal: ReplyProvenance | None = None

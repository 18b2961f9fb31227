"""Conversation over a WebSocket: what the server sends, by OpenAI's Realtime protocol (general availability).

What Chammal adds stands in fields named `chammal`, and in the event `chammal.stage`. Times of audio are milliseconds
from the first sample that the session received. `realtime_client` has what the client sends.
"""

from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from chammal_contracts.asr import Suspect
from chammal_contracts.realtime_items import Item
from chammal_contracts.realtime_response import RealtimeResponse
from chammal_contracts.realtime_session import Session
from chammal_contracts.stages import StageReport
from chammal_contracts.voice import Voice


class RealtimeClose(IntEnum):
    """How the server closes a session. The `error` event before it says more."""

    FINISHED = 1000
    SHUTTING_DOWN = 1001
    TOO_BIG = 1009
    """One message was larger than the server takes."""
    FAILED = 1011
    IDLE = 4408
    """Nothing was said and nothing was sent for too long."""
    EXPIRED = 4410
    """The session has lasted as long as one may."""
    TOO_SLOW = 4429
    """The client did not read its events."""


class RealtimeErrorType(StrEnum):
    INVALID_REQUEST = "invalid_request_error"
    SERVER = "server_error"


class RealtimeError(BaseModel):
    type: RealtimeErrorType
    code: str
    """One of OpenAI's where it has one, else an `ErrorCode`."""
    message: str
    param: str | None = None
    """The field at fault, such as `session.tools`."""
    event_id: str | None = None
    """The client's event that caused it."""
    chammal: StageReport | None = None
    """The stage that failed."""


class ServerEventBase(BaseModel):
    event_id: str = ""
    """Given when it is sent."""


class ErrorEvent(ServerEventBase):
    """The session goes on, unless a close follows."""

    type: Literal["error"] = "error"
    error: RealtimeError


class SessionCreated(ServerEventBase):
    type: Literal["session.created"] = "session.created"
    session: Session


class SessionUpdated(ServerEventBase):
    type: Literal["session.updated"] = "session.updated"
    session: Session


class AudioCommitted(ServerEventBase):
    type: Literal["input_audio_buffer.committed"] = "input_audio_buffer.committed"
    previous_item_id: str | None
    item_id: str


class AudioCleared(ServerEventBase):
    type: Literal["input_audio_buffer.cleared"] = "input_audio_buffer.cleared"


class SpeechStartedEvent(ServerEventBase):
    """A turn that pauses and goes on has several, with one `item_id`."""

    type: Literal["input_audio_buffer.speech_started"] = "input_audio_buffer.speech_started"
    audio_start_ms: int
    item_id: str


class SpeechStoppedEvent(ServerEventBase):
    type: Literal["input_audio_buffer.speech_stopped"] = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    """Where speech ended, not where that was known."""
    item_id: str


class ItemAdded(ServerEventBase):
    type: Literal["conversation.item.added"] = "conversation.item.added"
    previous_item_id: str | None
    item: Item


class ItemDone(ServerEventBase):
    type: Literal["conversation.item.done"] = "conversation.item.done"
    previous_item_id: str | None
    item: Item


class ItemRetrieved(ServerEventBase):
    type: Literal["conversation.item.retrieved"] = "conversation.item.retrieved"
    item: Item


class ItemTruncated(ServerEventBase):
    type: Literal["conversation.item.truncated"] = "conversation.item.truncated"
    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDeleted(ServerEventBase):
    type: Literal["conversation.item.deleted"] = "conversation.item.deleted"
    item_id: str


class Settling(BaseModel):
    """What the turn seems to say so far. The deltas together are the part of it that is settled."""

    unsettled: str
    """What follows them for now, and may still change."""


class TranscriptionDelta(ServerEventBase):
    """Comes while the person still speaks. An empty `delta` tells that `chammal.unsettled` alone has changed."""

    type: Literal["conversation.item.input_audio_transcription.delta"] = (
        "conversation.item.input_audio_transcription.delta"
    )
    item_id: str
    content_index: int = 0
    delta: str
    chammal: Settling


class DurationUsage(BaseModel):
    type: Literal["duration"] = "duration"
    seconds: float


class HearingProvenance(BaseModel):
    """How the transcript of a turn came to be."""

    stages: list[StageReport]
    """`stt`, and `emotion` where it was asked for."""
    language: str | None
    confidence: float | None
    suspect: list[Suspect]
    """What was written and is not believed."""
    voice: Voice | None
    seconds: dict[str, float]
    """`silence`: of the stream, from the end of speech to the endpoint. `recognise`. `after_endpoint`: from it to the
    text. `waited`: for more of an unfinished clause."""


class TranscriptionCompleted(ServerEventBase):
    type: Literal["conversation.item.input_audio_transcription.completed"] = (
        "conversation.item.input_audio_transcription.completed"
    )
    item_id: str
    content_index: int = 0
    transcript: str
    usage: DurationUsage
    chammal: HearingProvenance


class TranscriptionFailed(ServerEventBase):
    type: Literal["conversation.item.input_audio_transcription.failed"] = (
        "conversation.item.input_audio_transcription.failed"
    )
    item_id: str
    content_index: int = 0
    error: RealtimeError


class ResponseCreated(ServerEventBase):
    type: Literal["response.created"] = "response.created"
    response: RealtimeResponse


class ResponseDone(ServerEventBase):
    type: Literal["response.done"] = "response.done"
    response: RealtimeResponse


class OutputItemEvent(ServerEventBase):
    response_id: str
    output_index: int = 0


class OutputItemAdded(OutputItemEvent):
    type: Literal["response.output_item.added"] = "response.output_item.added"
    item: Item


class OutputItemDone(OutputItemEvent):
    type: Literal["response.output_item.done"] = "response.output_item.done"
    item: Item


class ContentEvent(OutputItemEvent):
    item_id: str
    content_index: int = 0


class ContentPart(BaseModel):
    type: Literal["audio", "text"]
    text: str | None = None
    transcript: str | None = None


class ContentPartAdded(ContentEvent):
    type: Literal["response.content_part.added"] = "response.content_part.added"
    part: ContentPart


class ContentPartDone(ContentEvent):
    type: Literal["response.content_part.done"] = "response.content_part.done"
    part: ContentPart


class OutputTextDelta(ContentEvent):
    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str


class OutputTextDone(ContentEvent):
    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str


class OutputTranscriptDelta(ContentEvent):
    type: Literal["response.output_audio_transcript.delta"] = "response.output_audio_transcript.delta"
    delta: str


class OutputTranscriptDone(ContentEvent):
    type: Literal["response.output_audio_transcript.done"] = "response.output_audio_transcript.done"
    transcript: str


class OutputAudioDelta(ContentEvent):
    type: Literal["response.output_audio.delta"] = "response.output_audio.delta"
    delta: str
    """Base64 of samples in the session's output format."""


class OutputAudioDone(ContentEvent):
    type: Literal["response.output_audio.done"] = "response.output_audio.done"


class StageChanged(ServerEventBase):
    """Not OpenAI's: hearing is back, after an `error` that named its stage."""

    type: Literal["chammal.stage"] = "chammal.stage"
    stage: StageReport
    lost_audio_ms: int = 0
    """Of the person's, that nobody has heard meanwhile."""


ServerEvent = (
    ErrorEvent
    | SessionCreated
    | SessionUpdated
    | AudioCommitted
    | AudioCleared
    | SpeechStartedEvent
    | SpeechStoppedEvent
    | ItemAdded
    | ItemDone
    | ItemRetrieved
    | ItemTruncated
    | ItemDeleted
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | OutputTranscriptDelta
    | OutputTranscriptDone
    | OutputAudioDelta
    | OutputAudioDone
    | StageChanged
)
SERVER_EVENT: TypeAdapter[ServerEvent] = TypeAdapter(Annotated[ServerEvent, Field(discriminator="type")])

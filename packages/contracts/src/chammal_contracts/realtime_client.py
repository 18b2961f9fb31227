"""What a client of `WS /v1/realtime` sends. Strict: a field that is not known is refused by its name."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from chammal_contracts.realtime_items import ItemId, NewItem
from chammal_contracts.realtime_session import (
    AudioShape,
    ClientPart,
    MaxTokens,
    Modalities,
    NoCalls,
    Nothing,
    NoToolChoice,
    NoTools,
    SessionConfig,
    VoiceId,
    only,
)


class ResponseAudioOutput(ClientPart):
    """For one response. The format is the session's: it cannot change in the middle."""

    voice: str | VoiceId | None = None
    format: AudioShape | None = None


class ResponseAudio(ClientPart):
    output: ResponseAudioOutput = ResponseAudioOutput()


class ResponseParams(ClientPart):
    """What `response.create` may change for this one response."""

    output_modalities: Modalities | None = None
    instructions: str | None = Field(default=None, max_length=32_000)
    audio: ResponseAudio | None = None
    max_output_tokens: MaxTokens | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    conversation: Annotated[str | None, only(None, "auto")] = None
    input: Nothing = None
    tools: NoTools = None
    tool_choice: NoToolChoice = None
    parallel_tool_calls: NoCalls = None
    prompt: Nothing = None
    reasoning: Nothing = None


class ClientEventBase(ClientPart):
    event_id: str | None = Field(default=None, max_length=512)
    """Comes back in the error that the event causes."""


class SessionUpdate(ClientEventBase):
    type: Literal["session.update"] = "session.update"
    session: SessionConfig


class AudioAppend(ClientEventBase):
    type: Literal["input_audio_buffer.append"] = "input_audio_buffer.append"
    audio: str
    """Base64 of samples in the session's input format."""


class AudioCommit(ClientEventBase):
    type: Literal["input_audio_buffer.commit"] = "input_audio_buffer.commit"


class AudioClear(ClientEventBase):
    type: Literal["input_audio_buffer.clear"] = "input_audio_buffer.clear"


class ItemCreate(ClientEventBase):
    type: Literal["conversation.item.create"] = "conversation.item.create"
    previous_item_id: ItemId | None = None
    """By default it goes last; `root`: first."""
    item: NewItem


class ItemRetrieve(ClientEventBase):
    type: Literal["conversation.item.retrieve"] = "conversation.item.retrieve"
    item_id: ItemId


class ItemTruncate(ClientEventBase):
    """What a client says was heard of an answer outranks what the server reckons."""

    type: Literal["conversation.item.truncate"] = "conversation.item.truncate"
    item_id: ItemId
    content_index: int = Field(ge=0)
    audio_end_ms: int = Field(ge=0)


class ItemDelete(ClientEventBase):
    type: Literal["conversation.item.delete"] = "conversation.item.delete"
    item_id: ItemId


class ResponseCreate(ClientEventBase):
    type: Literal["response.create"] = "response.create"
    response: ResponseParams | None = None


class ResponseCancel(ClientEventBase):
    type: Literal["response.cancel"] = "response.cancel"
    response_id: ItemId | None = None


ClientEvent = (
    SessionUpdate
    | AudioAppend
    | AudioCommit
    | AudioClear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
)
CLIENT_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])

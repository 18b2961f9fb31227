"""The items of a conversation over `WS /v1/realtime`."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from chammal_contracts.realtime_session import ClientPart

ItemId = Annotated[str, Field(min_length=1, max_length=64)]
ROOT = "root"
"""As `previous_item_id`: before all items."""


class ItemStatus(StrEnum):
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    IN_PROGRESS = "in_progress"


class InputText(ClientPart):
    type: Literal["input_text"] = "input_text"
    text: str = Field(max_length=32_000)


class OutputText(ClientPart):
    """An answer in writing; as a client's item, something the assistant is to have said."""

    type: Literal["output_text"] = "output_text"
    text: str = Field(max_length=32_000)


class InputAudio(BaseModel):
    """Speech of the person. Its samples are not kept."""

    type: Literal["input_audio"] = "input_audio"
    transcript: str | None = None


class OutputAudio(BaseModel):
    """Speech of the assistant. `transcript` ends where hearing it ended."""

    type: Literal["output_audio"] = "output_audio"
    transcript: str | None = None


class SystemMessage(ClientPart):
    type: Literal["message"] = "message"
    role: Literal["system"] = "system"
    id: ItemId | None = None
    object: Literal["realtime.item"] = "realtime.item"
    status: ItemStatus = ItemStatus.COMPLETED
    content: list[InputText] = Field(min_length=1, max_length=16)


class TypedMessage(ClientPart):
    """What a client puts into the conversation for the person."""

    type: Literal["message"] = "message"
    role: Literal["user"] = "user"
    id: ItemId | None = None
    object: Literal["realtime.item"] = "realtime.item"
    status: ItemStatus = ItemStatus.COMPLETED
    content: list[InputText] = Field(min_length=1, max_length=16)


class WrittenMessage(ClientPart):
    """What a client puts into the conversation for the assistant."""

    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    id: ItemId | None = None
    object: Literal["realtime.item"] = "realtime.item"
    status: ItemStatus = ItemStatus.COMPLETED
    content: list[OutputText] = Field(min_length=1, max_length=16)


NewItem = Annotated[SystemMessage | TypedMessage | WrittenMessage, Field(discriminator="role")]


class Item(BaseModel):
    """One item of a conversation, as the server tells it."""

    id: str
    type: Literal["message"] = "message"
    object: Literal["realtime.item"] = "realtime.item"
    status: ItemStatus = ItemStatus.COMPLETED
    role: Literal["system", "user", "assistant"]
    content: list[Annotated[InputText | OutputText | InputAudio | OutputAudio, Field(discriminator="type")]]

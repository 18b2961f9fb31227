"""The events of one answer, in the protocol's order."""

import base64
from collections.abc import Awaitable, Callable
from typing import Literal

from chammal_api.realtime.conversation import answer_item
from chammal_contracts.realtime import (
    ContentPart,
    ContentPartAdded,
    ContentPartDone,
    ItemAdded,
    ItemDone,
    OutputAudioDelta,
    OutputAudioDone,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    OutputTranscriptDelta,
    OutputTranscriptDone,
    ServerEvent,
)
from chammal_contracts.realtime_items import Item, ItemStatus

Send = Callable[[ServerEvent], Awaitable[None]]


class ResponseEvents:
    def __init__(self, send: Send, response_id: str, item_id: str, modality: Literal["audio", "text"]) -> None:
        self._send = send
        self._spoken = modality == "audio"
        self._modality = modality
        self._item_id = item_id
        self._response_id = response_id

    async def begin(self, item: Item, previous_item_id: str | None) -> None:
        await self._send(OutputItemAdded(response_id=self._response_id, item=item))
        await self._send(ItemAdded(previous_item_id=previous_item_id, item=item))
        await self._send(ContentPartAdded(response_id=self._response_id, item_id=self._item_id, part=self._part("")))

    async def words(self, words: str) -> None:
        kind = OutputTranscriptDelta if self._spoken else OutputTextDelta
        await self._send(kind(response_id=self._response_id, item_id=self._item_id, delta=words))

    async def audio(self, samples: bytes) -> None:
        await self._send(
            OutputAudioDelta(
                response_id=self._response_id, item_id=self._item_id, delta=base64.b64encode(samples).decode("ascii")
            )
        )

    async def end(self, text: str, status: ItemStatus, previous_item_id: str | None) -> Item:
        """The item as it was sent, all of its words with it."""
        if self._spoken:
            await self._send(OutputAudioDone(response_id=self._response_id, item_id=self._item_id))
            await self._send(
                OutputTranscriptDone(response_id=self._response_id, item_id=self._item_id, transcript=text)
            )
        else:
            await self._send(OutputTextDone(response_id=self._response_id, item_id=self._item_id, text=text))
        await self._send(ContentPartDone(response_id=self._response_id, item_id=self._item_id, part=self._part(text)))
        item = answer_item(self._item_id, self._modality, text, status)
        await self._send(ItemDone(previous_item_id=previous_item_id, item=item))
        await self._send(OutputItemDone(response_id=self._response_id, item=item))
        return item

    def _part(self, text: str) -> ContentPart:
        return ContentPart(type="audio", transcript=text) if self._spoken else ContentPart(type="text", text=text)

"""What was said in a session, and as much of it as the language model is told."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from chammal_api.check.windows import estimate_tokens
from chammal_api.realtime.speech_track import SpeechTrack
from chammal_contracts.realtime_items import (
    ROOT,
    InputAudio,
    Item,
    ItemStatus,
    NewItem,
    OutputAudio,
    OutputText,
)
from chammal_contracts.voice import Emotion

MAX_CHARACTERS = 1_000_000
"""Of all items together; what a client would add beyond is refused."""
MESSAGE_TOKENS = 6
"""What a chat template adds to a message."""
KEPT_SHARE = 0.6
"""Of the budget, when something has to be left out: so the model's cache of a prompt holds for several turns."""
_VOICE_TAG = re.compile(r"</?voice\b[^>]*>", re.IGNORECASE)


class ConversationError(Exception):
    """A client's mistake, with one of OpenAI's codes."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


@dataclass(slots=True, eq=False)
class Entry:
    item: Item
    mood: Emotion | None = None
    """How the person's voice sounded."""
    track: SpeechTrack | None = None
    """Of an answer that is spoken."""
    written: str = ""
    """The answer as far as it was written."""
    real: bool = True
    """False for a template, which the language model never hears of as its own words."""
    settled: bool = False
    """A client has said how much of it was heard."""

    @property
    def text(self) -> str:
        said = (getattr(part, "text", None) or getattr(part, "transcript", None) or "" for part in self.item.content)
        return "\n".join(said).strip()


@dataclass(frozen=True, slots=True)
class Told:
    messages: list[dict[str, str]]
    left_out: int
    """Items that did not fit, also one of which a part did."""


@dataclass(slots=True)
class Conversation:
    id: str = field(default_factory=lambda: new_id("conv"))
    _entries: list[Entry] = field(default_factory=list, init=False)
    _oldest: Entry | None = field(default=None, init=False)
    """The first that the language model was told last time, where some were left out."""

    @property
    def items(self) -> list[Item]:
        return [entry.item for entry in self._entries]

    @property
    def last_words(self) -> str:
        """Of the person."""
        return next((entry.text for entry in reversed(self._entries) if entry.item.role == "user"), "")

    def retrieve(self, item_id: str) -> Entry:
        """Raises ConversationError."""
        for entry in reversed(self._entries):
            if entry.item.id == item_id:
                return entry
        raise ConversationError("item_not_found", f"There is no item {item_id!r}.", "item_id")

    def append(self, item: Item, mood: Emotion | None = None) -> str | None:
        """The item before it."""
        before = self._entries[-1].item.id if self._entries else None
        self._entries.append(Entry(item, mood))
        return before

    def create(self, new: NewItem, after: str | None = None) -> tuple[Item, str | None]:
        """A client's item, after the named one or last, and the id before it. Raises ConversationError."""
        if new.id is not None and any(entry.item.id == new.id for entry in self._entries):
            raise ConversationError("item_exists", f"There is an item {new.id!r} already.", "item.id")
        size = sum(len(part.text) for part in new.content)
        if size + sum(len(entry.text) for entry in self._entries) > MAX_CHARACTERS:
            raise ConversationError(
                "conversation_full", f"A conversation holds {MAX_CHARACTERS} characters. Delete items first.", "item"
            )
        place = len(self._entries)
        if after is not None:
            place = 0 if after == ROOT else self._entries.index(self.retrieve(after)) + 1
        item = Item(id=new.id or new_id("item"), role=new.role, status=ItemStatus.COMPLETED, content=[*new.content])
        self._entries.insert(place, Entry(item))
        return item, self._entries[place - 1].item.id if place else None

    def hear(self, item_id: str, text: str, mood: Emotion | None) -> Item:
        """The words of a turn that was appended when it was committed. Raises ConversationError."""
        entry = self.retrieve(item_id)
        entry.item = entry.item.model_copy(
            update={"content": [InputAudio(transcript=text)], "status": ItemStatus.COMPLETED}
        )
        entry.mood = mood
        return entry.item

    def before(self, item_id: str) -> str | None:
        """The id before it. Raises ConversationError."""
        place = self._entries.index(self.retrieve(item_id))
        return self._entries[place - 1].item.id if place else None

    def delete(self, item_id: str) -> None:
        """Raises ConversationError."""
        self._entries.remove(self.retrieve(item_id))

    def truncate(self, item_id: str, audio_end_ms: int, content_index: int = 0) -> Item:
        """What a client says was heard, also where another point was reckoned before. Raises ConversationError."""
        entry = self.retrieve(item_id)
        if entry.track is None:
            raise ConversationError("invalid_item", "Only spoken answers can be truncated.", "item_id")
        if content_index != 0:
            raise ConversationError("invalid_value", "A spoken answer has one part, 0.", "content_index")
        if audio_end_ms > entry.track.ms:
            ms = int(entry.track.ms)
            raise ConversationError("invalid_value", f"The item has {ms} ms of audio.", "audio_end_ms")
        entry.settled = True
        return keep_heard(entry, audio_end_ms)

    def messages(self, system: str, budget: int) -> Told:
        """For the language model, the newest of them within `budget` tokens; the last of the person's always."""
        entries = [entry for entry in self._entries if entry.real and entry.text]
        left = budget - estimate_tokens(system) - MESSAGE_TOKENS
        start = entries.index(self._oldest) if self._oldest in entries else 0
        if sum(map(_tokens, entries[start:])) > left:
            start = _first_that_fits(entries, start, int(left * KEPT_SHARE))
        self._oldest = entries[start] if start else None
        kept = [(_role(entry), _content(entry)) for entry in entries[start:]]
        cut = len(kept) == 1 and estimate_tokens(kept[0][1]) > max(left, 0)
        if cut:
            kept = [(kept[0][0], _tail(kept[0][1], max(left, budget // 4)))]
        return Told([{"role": "system", "content": system}, *_joined(kept)], start + cut)


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"


def keep_heard(entry: Entry, ms: float) -> Item:
    """Truncates a spoken answer. Where `ms` is all of its audio, all of its words are kept."""
    assert entry.track is not None  # noqa: S101
    heard = entry.track.text_until(ms)
    whole = heard == entry.written.rstrip()
    entry.item = entry.item.model_copy(
        update={
            "content": [OutputAudio(transcript=entry.written if whole else heard)],
            "status": entry.item.status if whole else ItemStatus.INCOMPLETE,
        }
    )
    return entry.item


def answer_item(item_id: str, modality: str, text: str, status: ItemStatus) -> Item:
    part = OutputAudio(transcript=text) if modality == "audio" else OutputText.model_construct(text=text)
    return Item(id=item_id, role="assistant", status=status, content=[part])


def _role(entry: Entry) -> str:
    return entry.item.role


def _content(entry: Entry) -> str:
    """The mood is a word of a closed list, and stands where nothing that was said can stand."""
    if entry.item.role != "user":
        return entry.text
    text = _VOICE_TAG.sub(" ", entry.text)
    if entry.mood is None or entry.mood is Emotion.NEUTRAL:
        return text
    return f"{text}\n<voice>{entry.mood}</voice>"


def _tokens(entry: Entry) -> int:
    return estimate_tokens(entry.text) + MESSAGE_TOKENS


def _first_that_fits(entries: Sequence[Entry], start: int, budget: int) -> int:
    """The oldest of the person's messages from which on all fits; the last message where none does."""
    spent, first = 0, len(entries) - 1
    for place in range(len(entries) - 1, start - 1, -1):
        spent += _tokens(entries[place])
        if spent > budget:
            break
        first = place
    while first < len(entries) - 1 and entries[first].item.role == "assistant":
        first += 1
    return first


def _tail(text: str, budget: int) -> str:
    while estimate_tokens(text) > budget and len(text) > 1:
        text = text[len(text) // 8 + 1 :]
    return text


def _joined(kept: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Some chat templates take no two messages of one side in a row."""
    messages: list[dict[str, str]] = []
    for role, content in kept:
        if messages and messages[-1]["role"] == role:
            messages[-1] = {"role": role, "content": f"{messages[-1]['content']}\n{content}"}
        else:
            messages.append({"role": role, "content": content})
    return messages

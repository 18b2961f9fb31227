"""A streamed answer of the llm-gateway, word by word, and who gave it."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from chammal_api.clients.failure import read_problem
from chammal_contracts.chat import Provenance
from chammal_contracts.stages import FailureType
from chammal_kit.upstream import StreamReply, Timeouts, Upstream, UpstreamError
from chammal_kit.upstream_errors import Evidence

_LONGEST_EVENT = 1 << 20
_DONE = "[DONE]"
_THINK, _THOUGHT = "<think>", "</think>"


class _Delta(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _CachedTokens(BaseModel):
    cached_tokens: int | None = None


class ChatUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens | None = None

    @property
    def cached_tokens(self) -> int:
        return (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0


class _Chunk(BaseModel):
    choices: list[_Choice]
    usage: ChatUsage | None = None
    chammal: Provenance | None = None


@dataclass(slots=True)
class ChatStream:
    """Iterate `deltas()` once; the other fields fill up meanwhile."""

    answer: StreamReply
    provenance: Provenance | None = None
    usage: ChatUsage | None = None
    finish_reason: str | None = None
    _events: "_Events" = field(default_factory=lambda: _Events())
    _thoughts: "_Thoughts" = field(default_factory=lambda: _Thoughts())

    async def deltas(self) -> AsyncGenerator[str, None]:
        """Without what a reasoning model thinks before it answers.

        Raises UpstreamError, also where the stream ends before its end or the gateway says that it broke off.
        """
        async for piece in self.answer:
            for name, data in self._events.feed(piece):
                if data == _DONE:
                    if rest := self._thoughts.end():
                        yield rest
                    return
                if text := self._thoughts.feed(self._read(name, data)):
                    yield text
            if self._events.pending > _LONGEST_EVENT:
                raise self.answer.unusable(f"an event of more than {_LONGEST_EVENT} bytes")
        raise self.answer.unusable("the stream ended before its end")

    def _read(self, name: str, data: str) -> str:
        if name == "error":
            raise self._broken(data)
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError:
            raise self.answer.unusable("an event that is no piece of an answer") from None
        self.provenance = chunk.chammal or self.provenance
        self.usage = chunk.usage or self.usage
        if not chunk.choices:
            return ""
        self.finish_reason = chunk.choices[0].finish_reason or self.finish_reason
        return chunk.choices[0].delta.content or ""

    def _broken(self, data: str) -> UpstreamError:
        """A backend's fault and not the gateway's, which has told it in good order."""
        problem = read_problem(data.encode())
        error = self.answer.unusable(problem.detail if problem else "the gateway broke off its answer")
        error.failure = FailureType.CONNECTION_LOST
        error.evidence = Evidence.FOR
        return error


class _Thoughts:
    """Keeps back `<think> … </think>` at the beginning of an answer, wherever it was cut."""

    def __init__(self) -> None:
        self._held: str | None = ""
        """None: the answer has begun."""

    def feed(self, text: str) -> str:
        if self._held is None:
            return text
        self._held += text
        begun = self._held.lstrip()
        if begun.startswith(_THINK):
            answer = begun.partition(_THOUGHT)[2].lstrip()
            return self._begin(answer) if answer else ""
        return "" if _THINK.startswith(begun) else self._begin(begun)

    def end(self) -> str:
        held, self._held = self._held or "", None
        return "" if held.lstrip().startswith(_THINK) else held

    def _begin(self, answer: str) -> str:
        self._held = None
        return answer


class _Events:
    """Server-sent events out of blocks of bytes, wherever these were cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []

    @property
    def pending(self) -> int:
        return len(self._rest) + sum(map(len, self._data))

    def feed(self, block: bytes) -> list[tuple[str, str]]:
        """The name and the data of each event that this block completed."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        events = []
        for raw in lines:
            line = raw.decode("utf-8", "replace").removesuffix("\r")
            if line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
            elif line.startswith("event:"):
                self._name = line[6:].strip()
            elif not line:
                if self._data:
                    events.append((self._name, "\n".join(self._data)))
                self._name, self._data = "", []
        return events


@asynccontextmanager
async def stream_chat(
    upstream: Upstream,
    messages: Sequence[dict[str, str]],
    *,
    model: str,
    max_tokens: int | None,
    timeouts: Timeouts,
) -> AsyncIterator[ChatStream]:
    """Inside the block the first word is on its way. Leaving it ends generation. Raises UpstreamError."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if max_tokens is not None:
        asked["max_tokens"] = max_tokens
    async with upstream.stream("POST", "/v1/chat/completions", json=asked, timeouts=timeouts) as answer:
        media_type = answer.headers.get("content-type", "")
        if not media_type.startswith("text/event-stream"):
            raise answer.unusable(f"answered with {media_type[:60] or 'no content type'}")
        yield ChatStream(answer)

"""What backends answer, in OpenAI's shapes, checked before it is believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from chammal_kit.upstream_reply import read_json
from chammal_llm_gateway.sse import DONE

Completion = dict[str, Any]
"""A chat.completion body that `read_completion` has checked, kept as the backend wrote it."""

_TOKEN_MEMBERS = ("content", "tool_calls", "refusal", "reasoning_content", "reasoning", "function_call")


class InvalidAnswer(ValueError):
    """A backend answered with 200 and something that cannot be used."""


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a stream."""

    data: bytes
    has_tokens: bool = False
    finished: bool = False
    """It carries a finish_reason."""
    done: bool = False
    """It is the closing [DONE]."""
    usage: Usage | None = None


def read_completion(raw: bytes) -> Completion:
    """Raises InvalidAnswer unless `raw` is a chat completion in which every choice says something."""
    body = _read_object(raw)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise InvalidAnswer("the answer has no choices")
    for choice in choices:
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise InvalidAnswer("a choice has no message")
        if not says_something(message):
            raise InvalidAnswer("the answer is empty")
    return body


def read_chunk(raw: bytes) -> Chunk:
    """Raises InvalidAnswer for an event that is no chunk, or that is an error."""
    if raw == DONE:
        return Chunk(raw, done=True)
    body = _read_object(raw)
    if body.get("error"):
        raise InvalidAnswer(f"the backend reported in its stream: {_message_of(body['error'])}")
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise InvalidAnswer("an event of the stream has no choices")
    has_tokens = finished = False
    for choice in choices:
        if not isinstance(choice, dict):
            raise InvalidAnswer("a choice of the stream is no object")
        delta = choice.get("delta")
        has_tokens = has_tokens or (isinstance(delta, dict) and any(delta.get(name) for name in _TOKEN_MEMBERS))
        finished = finished or choice.get("finish_reason") is not None
    return Chunk(raw, has_tokens=has_tokens, finished=finished, usage=usage_of(body))


def says_something(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if isinstance(content, str):
        return bool(content.strip()) or bool(message.get("tool_calls")) or bool(message.get("refusal"))
    return bool(content or message.get("tool_calls") or message.get("refusal") or message.get("function_call"))


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    sent, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Usage(sent, written or 0) if isinstance(sent, int) and isinstance(written, int | None) else None


def chunks_of(completion: Completion, *, with_usage: bool) -> list[bytes]:
    """A checked, whole answer as the data of stream events: the message, its end, and usage where it is asked for."""
    head = {name: completion.get(name) for name in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"
    spoken, ends = [], []
    for place, choice in enumerate(completion["choices"]):
        index = choice.get("index", place)
        spoken.append({"index": index, "delta": choice["message"], "finish_reason": None})
        ends.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"})
    written = [{**head, "choices": spoken}, {**head, "choices": ends}]
    if with_usage and completion.get("usage"):
        written.append({**head, "choices": [], "usage": completion["usage"]})
    return [to_json(chunk) for chunk in written]


def read_model_ids(raw: bytes) -> list[str]:
    """The ids in a list of models. Raises InvalidAnswer, also for an empty list."""
    rows = _read_object(raw).get("data")
    ids = [row["id"] for row in rows if isinstance(row, dict) and row.get("id")] if isinstance(rows, list) else []
    if not ids:
        raise InvalidAnswer("the backend lists no model")
    return ids


def error_message(raw: bytes) -> str:
    """What an error body of an OpenAI-like or Anthropic server says, at most 2,000 characters."""
    try:
        body = from_json(raw)
    except ValueError:
        return raw[:500].decode("utf-8", "replace").strip()
    return _message_of(body.get("error", body) if isinstance(body, dict) else body)


def error_kinds(raw: bytes) -> frozenset[str]:
    """The machine-readable names in an error body: its `code` and `type`."""
    try:
        body = from_json(raw)
    except ValueError:
        return frozenset()
    error = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return frozenset()
    return frozenset(value for name in ("code", "type") if isinstance(value := error.get(name), str))


def _message_of(error: object) -> str:
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error.get("error")
        error = message if isinstance(message, str) else to_json(error).decode()
    return str(error)[:2000]


def _read_object(raw: bytes) -> dict[str, Any]:
    try:
        body = read_json(raw)
    except ValueError as error:
        raise InvalidAnswer(f"the answer is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidAnswer("the answer is no JSON object")
    return body

"""OpenAI's chat completions in the words of Anthropic's Messages API, and back.

Source: the Messages API reference and its SDK 2.12 (`output_config.format` with a JSON schema, general availability).
"""

import time
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from chammal_llm_gateway.answer import Chunk, Completion, InvalidAnswer, Usage
from chammal_llm_gateway.backend import Untranslatable
from chammal_llm_gateway.request import ChatRequest, JsonObjectFormat, JsonSchemaFormat

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_JSON_ONLY = "Answer with one JSON object and nothing else."
_SCHEMA_MEMBERS = frozenset(
    {"type", "properties", "required", "items", "anyOf", "allOf", "enum", "const", "description", "title", "$ref"}
)
_STRING_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)


def to_messages(request: ChatRequest, model: str, max_tokens: int, *, stream: bool, sampling: bool) -> dict[str, Any]:
    """The body of POST /v1/messages. `sampling` is False for models that refuse temperature and top_p."""
    extra = request.model_extra or {}
    if request.n not in (None, 1):
        raise Untranslatable("n > 1")
    for name in ("tools", "functions", "logprobs"):
        if extra.get(name):
            raise Untranslatable(name)
    system, messages = _split_system(request.messages)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": extra.get("max_completion_tokens") or extra.get("max_tokens") or max_tokens,
        "messages": messages,
    }
    if stream:
        body["stream"] = True
    if sampling:
        body.update(_sampling(extra))
    if stop := extra.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    match request.response_format:
        case JsonSchemaFormat() as wanted:
            schema = strict_schema(wanted.json_schema.json_schema)
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        case JsonObjectFormat():
            system.append(_JSON_ONLY)
    if system:
        body["system"] = "\n\n".join(system)
    return body


def _split_system(messages: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, str]]]:
    system, spoken = [], []
    for message in messages:
        role = message.get("role")
        text = _text_of(message.get("content"))
        if role in ("system", "developer"):
            system.append(text)
        elif role in ("user", "assistant") and not message.get("tool_calls"):
            spoken.append({"role": str(role), "content": text})
        else:
            raise Untranslatable(f"a message of role {role!r} or with tool calls")
    return system, spoken


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    raise Untranslatable("message content other than text")


def _sampling(extra: Mapping[str, Any]) -> dict[str, float]:
    """The API takes one of the two, and temperatures up to 1."""
    if extra.get("temperature") is not None:
        return {"temperature": min(1.0, extra["temperature"])}
    return {"top_p": extra["top_p"]} if extra.get("top_p") is not None else {}


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a schema that the API enforces; the rest is told to the model in descriptions.

    The answer is checked against the caller's own schema afterwards, so nothing is lost by this.
    """
    strict: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for name, value in schema.items():
        if name in ("$defs", "definitions", "properties") and isinstance(value, dict):
            strict[name] = {key: _strict(part) for key, part in value.items()}
        elif name in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
            strict["anyOf" if name == "oneOf" else name] = [_strict(part) for part in value]
        elif name == "items":
            strict[name] = _strict(value)
        elif (
            name in _SCHEMA_MEMBERS
            or (name == "format" and value in _STRING_FORMATS)
            or (name == "minItems" and value in (0, 1))
        ):
            strict[name] = value
        elif name not in ("additionalProperties", "$schema", "$id"):
            told[name] = value
    if strict.get("type") == "object" or "properties" in strict:
        strict["additionalProperties"] = False
    if told:
        rest = to_json(told).decode()
        strict["description"] = f"{strict['description']}\n\n{rest}" if "description" in strict else rest
    return strict


def _strict(part: object) -> object:
    return strict_schema(part) if isinstance(part, dict) else part


def from_message(body: Mapping[str, Any]) -> Completion:
    """A Messages API answer as a chat completion. Raises InvalidAnswer."""
    blocks = body.get("content")
    if not isinstance(blocks, list):
        raise InvalidAnswer("the message has no content")
    text = "".join(_text(block) for block in blocks if isinstance(block, dict) and block.get("type") == "text")
    finish = FINISH_REASONS.get(str(body.get("stop_reason")), "stop")
    completion: Completion = {
        "id": body.get("id", ""),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model", ""),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
    }
    if usage := _usage(body.get("usage")):
        completion["usage"] = _usage_body(usage)
    return completion


class MessageStream:
    """Turns the events of one Messages API stream into chat completion chunks."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": int(time.time())}
        self._input_tokens = 0

    def translate(self, event: Mapping[str, Any], *, with_usage: bool) -> list[Chunk]:
        """Raises InvalidAnswer for an error event."""
        match event.get("type"):
            case "message_start":
                message = _object(event.get("message"))
                self._head |= {"id": message.get("id", ""), "model": message.get("model", "")}
                self._input_tokens = usage.input_tokens if (usage := _usage(message.get("usage"))) else 0
                return [self._chunk({"role": "assistant", "content": ""})]
            case "content_block_delta":
                text = _text(_object(event.get("delta")))
                return [self._chunk({"content": text}, has_tokens=True)] if text else []
            case "message_delta":
                return self._ending(event, with_usage=with_usage)
            case "message_stop":
                return [Chunk(b"[DONE]", done=True)]
            case "error":
                error = _object(event.get("error"))
                raise InvalidAnswer(f"the backend reported in its stream: {error.get('type')}: {error.get('message')}")
            case _:
                return []

    def _ending(self, event: Mapping[str, Any], *, with_usage: bool) -> list[Chunk]:
        reason = _object(event.get("delta")).get("stop_reason")
        chunks = [self._chunk({}, finish=FINISH_REASONS.get(str(reason), "stop"))] if reason else []
        written = _object(event.get("usage")).get("output_tokens")
        if isinstance(written, int):
            usage = Usage(self._input_tokens, written)
            body = {**self._head, "choices": [], "usage": _usage_body(usage)}
            chunks.append(Chunk(to_json(body) if with_usage else b"", usage=usage))
        return chunks

    def _chunk(self, delta: dict[str, str], *, has_tokens: bool = False, finish: str | None = None) -> Chunk:
        body = {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        return Chunk(to_json(body), has_tokens=has_tokens, finished=finish is not None)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(block: Mapping[str, Any]) -> str:
    """Raises InvalidAnswer for text that is none."""
    text = block.get("text", "")
    if not isinstance(text, str):
        raise InvalidAnswer("a block's text is no text")
    return text


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict) or not isinstance(usage.get("input_tokens"), int):
        return None
    cached = sum(_count(usage.get(name)) for name in ("cache_creation_input_tokens", "cache_read_input_tokens"))
    return Usage(usage["input_tokens"] + cached, _count(usage.get("output_tokens")))


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _usage_body(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }

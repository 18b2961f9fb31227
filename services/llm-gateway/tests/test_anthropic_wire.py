import json
from typing import Any

import pytest

from chammal_llm_gateway.answer import InvalidAnswer
from chammal_llm_gateway.anthropic_wire import MessageStream, from_message, strict_schema, to_messages
from chammal_llm_gateway.backend import Untranslatable
from chammal_llm_gateway.request import ChatRequest

from .conftest import ASK

DATE = {"type": "string", "format": "date"}


def translated(*, sampling: bool = True, **request: Any) -> dict[str, Any]:
    return to_messages(ChatRequest.model_validate({**ASK, **request}), "claude", 99, stream=False, sampling=sampling)


def test_system_messages_become_the_system_prompt() -> None:
    body = translated(messages=[
        {"role": "system", "content": "정직하게."}, {"role": "developer", "content": "짧게."},
        {"role": "user", "content": [{"type": "text", "text": "안"}, {"type": "text", "text": "녕"}]},
        {"role": "assistant", "content": "네"}, {"role": "user", "content": "또"},
    ])  # fmt: skip
    assert body["system"] == "정직하게.\n\n짧게."
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("user", "안녕"),
        ("assistant", "네"),
        ("user", "또"),
    ]
    assert body["max_tokens"] == 99


def test_limits_and_sampling_are_translated() -> None:
    body = translated(max_tokens=5, temperature=1.7, top_p=0.5, stop="끝")
    assert (body["max_tokens"], body["temperature"], body["stop_sequences"]) == (5, 1.0, ["끝"])
    assert "top_p" not in body
    assert "temperature" not in translated(temperature=0.1, sampling=False)


@pytest.mark.parametrize(
    "request_members",
    [{"n": 2}, {"tools": [{}]}, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
     {"messages": [{"role": "tool", "content": "x"}]}],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(request_members: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable):
        translated(**request_members)


def test_a_schema_keeps_what_is_enforced_and_tells_the_rest() -> None:
    strict = strict_schema({
        "type": "object",
        "properties": {
            "점수": {"type": "integer", "minimum": 0, "description": "0부터"},
            "이름": {"type": ["string", "null"], "maxLength": 5},
            "표": {"type": "array", "minItems": 3, "items": {"oneOf": [DATE, {"type": "object"}]}},
        },
        "required": ["점수"],
    })  # fmt: skip
    assert strict["additionalProperties"] is False
    assert strict["properties"]["점수"] == {"type": "integer", "description": '0부터\n\n{"minimum":0}'}
    assert "maxLength" in strict["properties"]["이름"]["description"]
    assert strict["properties"]["표"]["items"]["anyOf"][0] == DATE
    assert strict["properties"]["표"]["items"]["anyOf"][1]["additionalProperties"] is False


def test_a_message_becomes_a_completion() -> None:
    completion = from_message({
        "id": "m", "model": "claude", "stop_reason": "max_tokens",
        "content": [{"type": "thinking"}, {"type": "text", "text": "안"}, {"type": "text", "text": "녕"}],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 2},
    })  # fmt: skip
    assert completion["choices"][0]["message"]["content"] == "안녕"
    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"] == {"prompt_tokens": 15, "completion_tokens": 2, "total_tokens": 17}


def test_stream_events_become_chunks() -> None:
    stream = MessageStream()
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 5}}},
        {"type": "content_block_start", "index": 0}, {"type": "ping"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "안녕"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]  # fmt: skip
    chunks = [chunk for event in events for chunk in stream.translate(event, with_usage=True)]
    assert [chunk.has_tokens for chunk in chunks] == [False, True, False, False, False]
    assert json.loads(chunks[1].data)["choices"][0]["delta"] == {"content": "안녕"}
    assert json.loads(chunks[2].data)["choices"][0]["finish_reason"] == "stop"
    assert json.loads(chunks[3].data)["usage"]["total_tokens"] == 7
    assert chunks[-1].done


def test_an_error_event_is_an_invalid_answer() -> None:
    with pytest.raises(InvalidAnswer, match="overloaded"):
        MessageStream().translate({"type": "error", "error": {"type": "overloaded_error"}}, with_usage=False)

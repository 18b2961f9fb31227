"""Whatever JSON a backend answers, it is an answer or an InvalidAnswer: never an error of the gateway's own."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chammal_llm_gateway.answer import read_chunk, read_completion, read_model_ids, usage_of
from chammal_llm_gateway.anthropic_wire import MessageStream, from_message

_KEYS = st.sampled_from(
    ["choices", "message", "delta", "content", "text", "type", "usage", "prompt_tokens", "completion_tokens", "error",
     "input_tokens", "output_tokens", "data", "id", "index", "finish_reason", "stop_reason", "tool_calls", "model"]
)  # fmt: skip
_VALUES = st.sampled_from(
    ["", "x", "text", "message_start", "content_block_delta", "message_delta", "message_stop", "error", "text_delta",
     "end_turn", 0, 1, -1, 1.5, True, None]
)  # fmt: skip
SHAPES = st.recursive(
    _VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=12
)
OBJECTS = st.dictionaries(_KEYS, SHAPES, max_size=6)


def read_usage(raw: bytes) -> object:
    return usage_of(read_completion(raw))


def read_message(raw: bytes) -> object:
    return from_message(json.loads(raw))


def read_event(raw: bytes) -> object:
    return MessageStream().translate(json.loads(raw), with_usage=True)


@pytest.mark.parametrize("read", [read_completion, read_usage, read_chunk, read_model_ids, read_message, read_event])
@given(answer=OBJECTS)
@example({"content": [{"type": "text"}]})
@example({"content": [{"type": "text", "text": 3}]})
@example({"type": "message_start", "message": None})
@example({"type": "message_start", "message": {"usage": {"input_tokens": 1, "cache_read_input_tokens": "x"}}})
@example({"type": "content_block_delta", "delta": "x"})
@example({"type": "message_delta", "delta": None})
@example({"type": "message_delta", "delta": {}, "usage": None})
@example({"type": "error", "error": "x"})
@example({"choices": [{"message": {"content": "x"}, "index": None}], "usage": {"prompt_tokens": "x"}})
@example({"data": [{"id": 3}]})
def test_an_answer_of_any_shape_is_read_or_refused(read: Callable[[bytes], object], answer: dict[str, Any]) -> None:
    with suppress(ValueError):
        read(json.dumps(answer).encode())

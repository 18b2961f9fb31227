import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from .conftest import ASK, DONE, Street, contents, events_of, refused

CHAT = "/v1/chat/completions"
NO_TEMPERATURE = {"type": "error", "error": {"message": "`temperature` is deprecated for this model."}}


def message(text: str) -> httpx2.Response:
    content = [{"type": "text", "text": text}]
    usage = {"input_tokens": 3, "output_tokens": 2}
    return httpx2.Response(200, json={"id": "m", "content": content, "stop_reason": "end_turn", "usage": usage})


def stream(*events: dict[str, Any]) -> httpx2.Response:
    async def body() -> AsyncIterator[bytes]:
        for event in events:
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    return httpx2.Response(200, content=body())


SPOKEN = (
    {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "안녕"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)


@pytest.fixture
def client(open_client: Callable[..., Any]) -> Iterator[TestClient]:
    with open_client(vllm_url=None, ollama_url=None, anthropic_key="k", anthropic_url="http://claude") as opened:
        yield opened


def test_a_question_is_answered_in_openais_shape(client: TestClient, street: Street) -> None:
    street["claude"].will(message("네"))
    answer = client.post(CHAT, json=ASK)
    assert answer.json()["choices"][0]["message"]["content"] == "네"
    assert answer.headers["chammal-backend"] == "anthropic"
    assert street["claude"].headers[0]["anthropic-version"] == "2023-06-01"


def test_a_stream_is_translated(client: TestClient, street: Street) -> None:
    street["claude"].will(stream(*SPOKEN))
    events = events_of(client.post(CHAT, json={**ASK, "stream": True}).text)
    assert contents(events) == "안녕"
    assert events[-1] == DONE


def test_a_stream_cut_before_its_end_says_so(client: TestClient, street: Street) -> None:
    street["claude"].will(stream(*SPOKEN[:2]))
    events = events_of(client.post(CHAT, json={**ASK, "stream": True}).text)
    assert events[-1][0] == "error"


def test_a_model_that_refuses_temperature_is_asked_without_and_remembered(client: TestClient, street: Street) -> None:
    street["claude"].will(refused(400, NO_TEMPERATURE), message("네"), message("네"), stream(*SPOKEN))
    for _ in range(2):
        assert client.post(CHAT, json={**ASK, "temperature": 0.1}).status_code == 200
    client.post(CHAT, json={**ASK, "temperature": 0.1, "stream": True})
    assert ["temperature" in asked for asked in street["claude"].asked] == [True, False, False, False]


def test_a_json_schema_is_enforced_by_the_api_and_checked_by_us(client: TestClient, street: Street) -> None:
    street["claude"].will(message('{"n": -1}'), message('{"n": 1}'))
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = client.post(CHAT, json={**ASK, "response_format": wanted})
    assert answer.json()["choices"][0]["message"]["content"] == '{"n": 1}'
    assert street["claude"].asked[0]["output_config"]["format"]["type"] == "json_schema"


def test_what_cannot_be_translated_counts_as_a_failed_backend(client: TestClient) -> None:
    answer = client.post(CHAT, json={**ASK, "tools": [{}]})
    assert (answer.status_code, answer.headers["chammal-attempts"]) == (503, "anthropic=rejected")

import json
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from .conftest import ASK, DONE, Street, contents, events_of, refused, said

CHAT = "/v1/chat/completions"
SCHEMA = {
    "type": "object",
    "properties": {"고객명": {"type": "string"}, "금액": {"type": "integer"}},
    "required": ["고객명", "금액"],
    "additionalProperties": False,
}
GOOD, BAD = '{"고객명": "김철수", "금액": 300}', '{"고객명": "김철수", "금액": "삼백"}'


def asking(schema: Any = SCHEMA, **more: Any) -> dict[str, Any]:
    return {**ASK, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, **more}


def repairs(mended: str) -> float:
    return REGISTRY.get_sample_value("chammal_llm_repairs_total", {"backend": "vllm", "mended": mended}) or 0.0


def test_an_answer_that_fulfils_its_schema_passes(client: TestClient, street: Street) -> None:
    street["vllm"].will(said(GOOD))
    body = client.post(CHAT, json=asking()).json()
    assert json.loads(body["choices"][0]["message"]["content"]) == {"고객명": "김철수", "금액": 300}
    assert body["chammal"]["repaired"] is False
    assert street["vllm"].asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_broken_answer_is_repaired_once_at_the_same_backend(client: TestClient, street: Street) -> None:
    street["vllm"].will(said(BAD), said(GOOD))
    before = repairs("true")
    answer = client.post(CHAT, json=asking())
    assert answer.json()["chammal"]["repaired"] is True
    assert answer.json()["usage"]["total_tokens"] == 20
    assert answer.headers["chammal-attempts"] == "vllm=invalid_response, vllm=ok"
    assert repairs("true") == before + 1
    told = street["vllm"].asked[1]["messages"]
    assert [turn["role"] for turn in told] == ["user", "assistant", "user"]
    assert "금액" in told[-1]["content"]


def test_a_broken_repair_fails_the_backend(client: TestClient, street: Street) -> None:
    street["vllm"].will(said(BAD), said("미안합니다"))
    street["ollama"].will(said(GOOD))
    answer = client.post(CHAT, json=asking())
    assert answer.headers["chammal-attempts"] == "vllm=invalid_response, ollama=ok"
    assert answer.json()["chammal"]["repaired"] is False
    assert len(street["vllm"].asked) == 2


def test_json_cut_off_at_the_token_limit_says_so_and_is_not_repaired(client: TestClient, street: Street) -> None:
    street["vllm"].will(said('{"고객명": "김', finish="length"))
    street["ollama"].will(refused(500))
    answer = client.post(CHAT, json=asking())
    assert answer.status_code == 503
    assert "cut off at the token limit" in answer.json()["detail"]
    assert len(street["vllm"].asked) == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://example.invalid/schema.json"},
        {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"$ref": "#/$defs/missing"},
        {"type": "object", "pattern": "["},
    ],
)
def test_a_schema_that_cannot_be_used_is_the_callers_fault(client: TestClient, street: Street, schema: Any) -> None:
    answer = client.post(CHAT, json=asking(schema))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert street["vllm"].asked == []


def test_a_schema_whose_references_never_end_is_the_callers_fault(client: TestClient, street: Street) -> None:
    street["vllm"].will(said(GOOD))
    assert client.post(CHAT, json=asking({"$ref": "#"})).status_code == 422


def test_streamed_json_is_checked_before_its_first_event(client: TestClient, street: Street) -> None:
    street["vllm"].will(said(BAD), said(GOOD))
    answer = client.post(CHAT, json=asking(stream=True, stream_options={"include_usage": True}))
    events = events_of(answer.text)
    assert contents(events) == GOOD
    assert events[0]["chammal"]["repaired"] is True
    assert events[-2]["usage"]["total_tokens"] == 20
    assert events[-1] == DONE
    assert "stream" not in street["vllm"].asked[0]


def test_json_object_must_be_an_object(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("[1]"), said('{"a": 1}'))
    answer = client.post(CHAT, json={**ASK, "response_format": {"type": "json_object"}})
    assert answer.json()["choices"][0]["message"]["content"] == '{"a": 1}'
    assert answer.json()["chammal"]["repaired"] is True


def test_a_refusal_is_not_taken_for_broken_json(client: TestClient, street: Street) -> None:
    street["vllm"].will(said(None, refusal="I will not."))
    assert client.post(CHAT, json=asking()).json()["choices"][0]["message"]["refusal"] == "I will not."

"""Against llama.cpp's real server: set CHAMMAL_TEST_LLM_URL to one that serves an instruct model."""

import json
import os
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from chammal_llm_gateway.app import create
from chammal_llm_gateway.settings import LlmSettings

from .conftest import DONE, contents, events_of

URL = os.environ.get("CHAMMAL_TEST_LLM_URL")
pytestmark = [pytest.mark.model, pytest.mark.skipif(URL is None, reason="CHAMMAL_TEST_LLM_URL is not set")]
CAPITAL = {
    "messages": [{"role": "user", "content": "한국의 수도는 어디인가요? 한 문장으로 답하세요."}],
    "max_tokens": 40,
}
TRANSFER = [{"role": "user", "content": "김철수 고객님이 300만원을 이체했습니다. 고객명과 금액(만원)을 JSON으로."}]
SCHEMA = {
    "type": "object",
    "properties": {"고객명": {"type": "string"}, "금액": {"type": "integer"}},
    "required": ["고객명", "금액"],
    "additionalProperties": False,
}


@pytest.fixture
def real() -> Iterator[TestClient]:
    with TestClient(create(LlmSettings(llamacpp_url=URL))) as client:
        yield client


def test_it_is_ready_and_answers_in_korean(real: TestClient) -> None:
    assert real.get("/ready").status_code == 200
    answer = real.post("/v1/chat/completions", json=CAPITAL).json()
    assert "서울" in answer["choices"][0]["message"]["content"]
    assert answer["chammal"]["backend"] == "llamacpp"


def test_it_streams_korean(real: TestClient) -> None:
    events = events_of(real.post("/v1/chat/completions", json={**CAPITAL, "stream": True}).text)
    assert "서울" in contents(events)
    assert events[-1] == DONE


def test_it_answers_by_schema(real: TestClient) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "transfer", "schema": SCHEMA}}
    asked = {"messages": TRANSFER, "response_format": wanted, "max_tokens": 80}
    content = real.post("/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"]
    assert json.loads(content)["고객명"] == "김철수"


def test_too_long_a_prompt_is_the_callers_fault(real: TestClient) -> None:
    answer = real.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "word " * 40_000}]})
    assert (answer.status_code, answer.json()["code"]) == (400, "input_too_long")

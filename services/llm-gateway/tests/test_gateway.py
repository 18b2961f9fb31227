import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from chammal_llm_gateway.backend import BackendFailed
from chammal_llm_gateway.request import ChatRequest, upstream_body
from chammal_llm_gateway.trail import Trail

from .conftest import ASK, DONE, Street, contents, events_of, refused, said, streamed, token

CHAT = "/v1/chat/completions"


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_first_backend_answers_and_the_answer_says_so(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("네, 안녕하세요."))
    answer = client.post(CHAT, json=ASK)
    assert answer.status_code == 200
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == "네, 안녕하세요."
    assert (body["chammal"]["backend"], body["chammal"]["model"]) == ("vllm", "served")
    assert answer.headers["chammal-backend"] == "vllm"
    assert answer.headers["chammal-attempts"] == "vllm=ok"
    assert street["vllm"].asked[0]["model"] == "served"


def test_members_of_the_request_that_we_do_not_know_reach_the_backend(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("네"))
    client.post(CHAT, json={**ASK, "seed": 7, "temperature": 0.2, "max_tokens": 5, "top_k": 3})
    assert street["vllm"].asked[0] == {
        **ASK,
        "model": "served",
        "seed": 7,
        "temperature": 0.2,
        "max_tokens": 5,
        "top_k": 3,
    }


@pytest.mark.parametrize(
    ("failure", "named"),
    [
        (httpx2.ConnectError("refused"), "connect_error"),
        (httpx2.ConnectTimeout("slow"), "connect_timeout"),
        (httpx2.ReadError("reset"), "connection_lost"),
        (refused(500), "http_error"),
        (refused(503), "unavailable"),
        (refused(429), "rate_limited"),
        (refused(401), "misconfigured"),
        (httpx2.Response(200, content=b"<html>"), "invalid_response"),
        (httpx2.Response(200, content=b'{"choices": [NaN]}'), "invalid_response"),
        (httpx2.Response(200, json={"choices": []}), "invalid_response"),
        (said("  "), "invalid_response"),
        (said(None), "invalid_response"),
    ],
)
def test_a_failed_backend_is_followed_by_the_next(
    client: TestClient, street: Street, failure: Any, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    street["vllm"].will(failure)
    street["ollama"].will(said("저는 두 번째입니다."))
    before = count("chammal_llm_fallbacks_total", backend="ollama")
    with caplog.at_level(logging.WARNING):
        answer = client.post(CHAT, json=ASK)
    assert answer.status_code == 200
    assert answer.headers["chammal-attempts"] == f"vllm={named}, ollama=ok"
    assert [a["error_type"] for a in answer.json()["chammal"]["attempts"]] == [named, None]
    assert count("chammal_llm_fallbacks_total", backend="ollama") == before + 1
    levels = [(r.levelname, r.name) for r in caplog.records if r.name == "chammal.AgentBackend"]
    assert levels == [("ERROR", "chammal.AgentBackend"), ("WARNING", "chammal.AgentBackend")]


@pytest.mark.parametrize("second", [said("네"), refused(500)])
def test_what_failed_is_let_go_with_all_that_was_read_of_it(
    client: TestClient, street: Street, second: httpx2.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names an error that names its own frames stays until the next full collection."""
    failures: list[weakref.ref[BackendFailed]] = []
    note = Trail.failed

    def failed(trail: Trail, error: BackendFailed) -> None:
        failures.append(weakref.ref(error))
        note(trail, error)

    monkeypatch.setattr(Trail, "failed", failed)
    street["vllm"].will(refused(500))
    street["ollama"].will(second)
    gc.collect()
    gc.disable()
    try:
        client.post(CHAT, json=ASK)
        assert failures
        assert not any(failure() for failure in failures)
    finally:
        gc.enable()


def test_a_callers_fault_is_passed_back_and_no_other_backend_is_asked(client: TestClient, street: Street) -> None:
    street["vllm"].will(refused(400, {"error": {"message": "This model's maximum context length is 4096 tokens."}}))
    answer = client.post(CHAT, json=ASK)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "input_too_long"
    assert "maximum context length is 4096" in answer.json()["detail"]
    assert street["ollama"].asked == []


def test_when_all_fail_the_attempts_and_the_shortest_wait_are_told(client: TestClient, street: Street) -> None:
    street["vllm"].will(refused(503, **{"retry-after": "30"}))
    street["ollama"].will(refused(429, **{"retry-after": "12"}))
    answer = client.post(CHAT, json=ASK)
    assert answer.status_code == 503
    assert answer.json()["code"] == "backends_failed"
    assert answer.headers["retry-after"] == "12"
    assert [(a["backend"], a["http_status"]) for a in answer.json()["attempts"]] == [("vllm", 503), ("ollama", 429)]
    assert "choices" not in answer.json()


def test_no_configured_backend_is_said_with_what_to_set(open_client: Callable[..., Any]) -> None:
    with open_client(vllm_url=None, ollama_url=None) as client:
        answer = client.post(CHAT, json=ASK)
    assert answer.status_code == 503
    assert "CHAMMAL_LLM_VLLM_URL" in answer.json()["detail"]


def test_an_open_breaker_spares_the_backend(client: TestClient, street: Street) -> None:
    street["vllm"].will(refused(500))
    street["ollama"].will(lambda: said("네"))
    for _ in range(8):
        last = client.post(CHAT, json=ASK)
    assert len(street["vllm"].asked) == 5
    assert last.headers["chammal-attempts"] == "vllm=breaker_open, ollama=ok"
    assert last.json()["chammal"]["attempts"][0]["outcome"] == "refused"


def test_a_name_that_only_a_later_backend_knows_goes_to_that_one(client: TestClient, street: Street) -> None:
    street["ollama"].ids = ["gemma3:4b"]
    street["ollama"].will(said("네"))
    answer = client.post(CHAT, json={**ASK, "model": "gemma3:4b"})
    assert answer.headers["chammal-attempts"] == "ollama=ok"
    assert street["ollama"].asked[0]["model"] == "gemma3:4b"


def test_an_openai_name_means_the_backends_own_model(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("네"))
    assert client.post(CHAT, json={**ASK, "model": "gpt-4o-mini"}).json()["chammal"]["model"] == "served"


def test_an_unknown_name_is_not_found_and_the_known_are_listed(client: TestClient, street: Street) -> None:
    street["ollama"].ids = ["gemma3:4b"]
    answer = client.post(CHAT, json={**ASK, "model": "nope"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "model_not_found"
    assert answer.json()["models"] == ["served", "gemma3:4b"]


def test_a_backend_that_serves_another_model_now_is_asked_for_its_name_again(
    client: TestClient, street: Street
) -> None:
    street["vllm"].will(said("네"), refused(404), said("아니요"))
    client.post(CHAT, json=ASK)
    street["vllm"].ids = ["renewed"]
    answer = client.post(CHAT, json=ASK)
    assert answer.json()["chammal"]["model"] == "renewed"
    assert [asked["model"] for asked in street["vllm"].asked] == ["served", "served", "renewed"]


def test_a_backend_without_the_path_counts_as_failed(client: TestClient, street: Street) -> None:
    street["vllm"].will(refused(404))
    street["ollama"].will(said("네"))
    assert client.post(CHAT, json=ASK).headers["chammal-attempts"] == "vllm=rejected, ollama=ok"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"messages": []}', 422),
        (b'{"messages": [{}], "response_format": {"type": "xml"}}', 422),
        (b'{"messages": [{}], "response_format": {"type": "json_schema"}}', 422),
    ],
)
def test_what_is_no_chat_request_is_refused(client: TestClient, street: Street, body: bytes, status: int) -> None:
    answer = client.post(CHAT, content=body)
    assert answer.status_code == status
    assert answer.json()["code"] == "invalid_request"
    assert street["vllm"].asked == []


def test_a_body_past_the_limit_is_refused(open_client: Callable[..., Any]) -> None:
    with open_client(max_request_bytes=2048) as client:
        assert client.post(CHAT, content=b" " * 3000).status_code == 413


def test_tokens_are_counted_by_direction(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("네"))
    before = count("chammal_llm_tokens_total", backend="vllm", direction="input")
    client.post(CHAT, json=ASK)
    assert count("chammal_llm_tokens_total", backend="vllm", direction="input") == before + 7


def test_models_of_all_backends_are_listed(client: TestClient, street: Street) -> None:
    street["ollama"].ids = ["a", "b"]
    rows = client.get("/v1/models").json()["data"]
    assert [(row["id"], row["owned_by"]) for row in rows] == [
        ("default", "chammal"), ("served", "vllm"), ("a", "ollama"), ("b", "ollama"),
    ]  # fmt: skip


def test_models_of_the_reachable_backends_are_listed_when_one_is_down(client: TestClient, street: Street) -> None:
    street["vllm"].down = True
    assert [row["id"] for row in client.get("/v1/models").json()["data"]] == ["default", "served"]
    street["ollama"].down = True


def test_keys_go_to_their_backend_and_nowhere_else(
    open_client: Callable[..., Any], street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    street["vllm"].will(refused(500))
    street["cloud"].will(refused(401, {"error": {"message": "bad key"}}))
    street["claude"].will(refused(401, {"error": {"message": "bad key"}}))
    told = {"openai_url": "http://cloud/v1", "openai_key": "sk-secret-1", "openai_model": "m", "ollama_url": None}
    with (
        caplog.at_level(logging.DEBUG),
        open_client(**told, anthropic_key="sk-secret-2", anthropic_url="http://claude") as client,
    ):
        answer = client.post(CHAT, json=ASK)
    assert answer.headers["chammal-attempts"] == "vllm=http_error, openai=misconfigured, anthropic=misconfigured"
    assert street["cloud"].headers[-1]["authorization"] == "Bearer sk-secret-1"
    assert street["claude"].headers[-1]["x-api-key"] == "sk-secret-2"
    assert "authorization" not in street["vllm"].headers[-1]
    assert "sk-secret" not in caplog.text + answer.text


def test_a_stream_passes_as_it_came_with_its_provenance_in_the_first_event(client: TestClient, street: Street) -> None:
    street["vllm"].will(
        streamed(token("", role="assistant"), token("안녕"), token("하세요"), token(finish="stop"), DONE)
    )
    answer = client.post(CHAT, json={**ASK, "stream": True})
    events = events_of(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["chammal-backend"] == "vllm"
    assert contents(events) == "안녕하세요"
    assert events[0]["chammal"]["attempts"][0]["backend"] == "vllm"
    assert events[-1] == DONE
    assert street["vllm"].asked[0]["stream"] is True


@pytest.mark.parametrize(
    ("first", "named"),
    [
        (streamed(token("", role="assistant"), breaks=httpx2.ReadError("reset")), "connection_lost"),
        (streamed(token("", role="assistant"), token(finish="stop"), DONE), "invalid_response"),
        (streamed(token("", role="assistant")), "invalid_response"),
        (streamed({"error": {"message": "out of memory"}}), "invalid_response"),
        (streamed("not json"), "invalid_response"),
        (refused(503), "unavailable"),
    ],
)
def test_a_stream_falls_to_the_next_before_its_first_token(
    client: TestClient, street: Street, first: httpx2.Response, named: str
) -> None:
    street["vllm"].will(first)
    street["ollama"].will(streamed(token("네"), token(finish="stop"), DONE))
    answer = client.post(CHAT, json={**ASK, "stream": True})
    assert answer.headers["chammal-attempts"] == f"vllm={named}, ollama=ok"
    assert contents(events_of(answer.text)) == "네"
    assert events_of(answer.text)[0]["chammal"]["attempts"][0]["error_type"] == named


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (streamed(token("반"), breaks=httpx2.ReadError("reset")), "connection_lost"),
        (streamed(token("반")), "connection_lost"),
        (streamed(token("반"), {"error": {"message": "boom"}}), "invalid_response"),
    ],
)
def test_a_stream_that_breaks_later_ends_with_an_error_event(
    client: TestClient, street: Street, broken: httpx2.Response, reason: str
) -> None:
    street["vllm"].will(broken)
    events = events_of(client.post(CHAT, json={**ASK, "stream": True}).text)
    name, body = events[-1]
    assert (name, body["stage"], body["reason"], body["backend"]) == ("error", "chat", reason, "vllm")
    assert body["error"]["message"]
    assert contents(events[:-1]) == "반"
    assert DONE not in events
    assert street["ollama"].asked == []


def test_a_stream_that_ended_without_done_is_closed_cleanly(client: TestClient, street: Street) -> None:
    street["vllm"].will(streamed(token("네"), token(finish="stop")))
    assert events_of(client.post(CHAT, json={**ASK, "stream": True}).text)[-1] == DONE


def test_a_stream_that_nobody_can_begin_is_a_problem(client: TestClient, street: Street) -> None:
    street["vllm"].will(refused(500))
    street["ollama"].will(refused(500))
    answer = client.post(CHAT, json={**ASK, "stream": True})
    assert (answer.status_code, answer.json()["code"]) == (503, "backends_failed")


def test_an_unstreamed_request_is_sent_without_stream_options() -> None:
    request = ChatRequest.model_validate({**ASK, "stream": True, "stream_options": {"include_usage": True}})
    assert "stream_options" in upstream_body(request, "m", stream=True)
    assert upstream_body(request, "m", stream=False) == {**ASK, "model": "m"}

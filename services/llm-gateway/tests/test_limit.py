from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from chammal_kit.limiter import Limiter

from .conftest import ASK, DONE, Street, refused, said, streamed, token

CHAT = "/v1/chat/completions"


def limiter_of(client: TestClient) -> Limiter:
    limiter = client.app_state["limiter"]
    assert isinstance(limiter, Limiter)
    return limiter


def test_who_finds_the_limit_full_is_refused_and_no_backend_is_asked(
    open_client: Callable[..., Any], street: Street
) -> None:
    street["vllm"].will(said("네"))
    with open_client(limit_least=2, limit_most=2) as client:
        permits = [limiter_of(client).admit() for _ in range(2)]
        answer = client.post(CHAT, json=ASK)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert street["vllm"].asked == []
        assert [client.get(path).status_code for path in ("/health", "/ready", "/v1/models", "/metrics")] == [200] * 4
        permits[0].leave()
        assert client.post(CHAT, json=ASK).status_code == 200


def test_every_end_of_a_call_gives_its_place_back(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("네"), streamed(token("네"), token(finish="stop"), DONE), refused(500), refused(400))
    street["ollama"].will(refused(500))
    statuses = [client.post(CHAT, json=body).status_code for body in (ASK, {**ASK, "stream": True}, ASK, ASK)]
    statuses.append(client.post(CHAT, content=b"{").status_code)
    assert statuses == [200, 200, 503, 400, 400]
    assert limiter_of(client).in_flight == 0

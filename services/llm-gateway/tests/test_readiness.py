from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from chammal_contracts.stages import BreakerState
from chammal_llm_gateway.backends import make_backends
from chammal_llm_gateway.readiness import ReadinessProbe
from chammal_llm_gateway.settings import LlmSettings

from .conftest import ASK, DONE, Street, refused, said, streamed, token

VLLM_ONLY = LlmSettings(vllm_url="http://vllm")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_the_first_backend_is_asked_for_one_token(client: TestClient, street: Street) -> None:
    street["vllm"].will(said(" "))
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert street["vllm"].asked[0]["max_tokens"] == 1
    assert [(c["name"], c["ready"], c["breaker"]) for c in answer.json()["checks"]] == [
        ("vllm", True, "closed"), ("ollama", True, "closed"),
    ]  # fmt: skip
    assert street["ollama"].asked == []


def test_the_answer_is_repeated_so_that_probes_do_not_load_the_model(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("네"))
    for _ in range(5):
        client.get("/ready")
    assert len(street["vllm"].asked) == 1


def test_a_later_backend_keeps_the_gateway_ready_but_degraded(client: TestClient, street: Street) -> None:
    street["vllm"].down = True
    street["ollama"].will(said("네"))
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["degraded"]) == (200, ["vllm"])
    assert "connect_error" in answer.json()["checks"][0]["reason"]


def test_without_any_answer_it_is_not_ready(client: TestClient, street: Street) -> None:
    street["vllm"].will(refused(500))
    street["ollama"].down = True
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert [check["ready"] for check in answer.json()["checks"]] == [False, False]


def test_without_a_backend_it_says_what_to_set(open_client: Callable[..., Any]) -> None:
    with open_client(vllm_url=None, ollama_url=None) as client:
        answer = client.get("/ready")
    assert answer.status_code == 503
    assert "CHAMMAL_LLM_VLLM_URL" in answer.json()["checks"][0]["hint"]


@pytest.mark.anyio
async def test_failing_probes_never_open_the_breaker_of_real_calls(street: Street) -> None:
    street["vllm"].will(refused(500))
    probed = make_backends(VLLM_ONLY, street.transport)
    probe = ReadinessProbe(probed, cache_seconds=0, fresh_seconds=30, hung_seconds=60)
    for _ in range(10):
        assert not (await probe.readiness()).ready
    assert probed[0].backend.upstream.breaker.state == "closed"


@pytest.mark.anyio
async def test_a_busy_backend_is_ready_though_it_has_no_time_for_a_probe(street: Street) -> None:
    street["vllm"].will(httpx2.ReadTimeout("busy"))
    probed = make_backends(VLLM_ONLY, street.transport)
    probe = ReadinessProbe(probed, cache_seconds=0, fresh_seconds=30, hung_seconds=60)
    assert not (await probe.readiness()).ready
    await probed[0].backend.upstream.bulkhead.acquire()
    readiness = await probe.readiness()
    assert readiness.ready
    assert "busy" in (readiness.checks[0].reason or "")


@pytest.mark.anyio
async def test_a_busy_backend_that_brings_no_token_for_long_hangs_whatever_else_it_answers(street: Street) -> None:
    street["vllm"].will(httpx2.ReadTimeout("silent"))
    now = 0.0
    probed = make_backends(VLLM_ONLY, street.transport)
    probe = ReadinessProbe(probed, cache_seconds=0, fresh_seconds=30, hung_seconds=60, clock=lambda: now)
    await probed[0].backend.upstream.bulkhead.acquire()
    assert (await probe.readiness()).ready
    now = 61.0
    readiness = await probe.readiness()
    assert street["vllm"].listings > 0
    assert not readiness.ready
    assert "it hangs" in (readiness.checks[0].reason or "")
    assert probed[0].backend.upstream.breaker.state is BreakerState.OPEN, "the next backend answers from now on"


def test_a_server_that_lists_its_models_and_generates_nothing_is_not_ready(
    open_client: Callable[..., Any], street: Street
) -> None:
    street["vllm"].will(httpx2.ReadTimeout("silent"))
    with open_client(ollama_url=None) as client:
        answer = client.get("/ready")
    assert answer.status_code == 503
    assert "read_timeout" in answer.json()["checks"][0]["reason"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_to_a_user_proves_the_backend_without_a_probe(
    client: TestClient, street: Street, stream: bool
) -> None:
    street["vllm"].will(streamed(token("네"), token(finish="stop"), DONE) if stream else said("네"))
    assert client.post("/v1/chat/completions", json={**ASK, "stream": stream}).status_code == 200
    assert client.get("/ready").status_code == 200
    assert len(street["vllm"].asked) == 1


def test_a_paid_backend_is_asked_for_its_models_and_for_no_token(
    open_client: Callable[..., Any], street: Street
) -> None:
    told = {"vllm_url": None, "ollama_url": None, "openai_url": "http://cloud", "openai_key": "secret"}
    with open_client(**told) as client:
        assert client.get("/ready").status_code == 200
        assert (street["cloud"].asked, street["cloud"].listings) == ([], 1)
    street["cloud"].will(said("네"))
    with open_client(**told, ready_asks_paid=True) as client:
        assert client.get("/ready").status_code == 200
    assert len(street["cloud"].asked) == 1

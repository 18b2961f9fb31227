"""Some backends fetch what a message names. What they may fetch is the operator's choice."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from chammal_kit.egress import Egress
from chammal_kit.problems import Problem
from chammal_llm_gateway.media import check_media
from chammal_llm_gateway.settings import LlmSettings

from .conftest import Street, said

DATA = "data:image/png;base64,iVBORw0KGgo="


def message(url: str, shape: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "video_url", "video_url": url},
        {"type": "image", "source": {"type": "url", "url": url}},
        {"type": "made-up", "deep": [[{"audio_url": {"url": url}}]]},
    ]
    return {"role": "user", "content": [{"type": "text", "text": "http://169.254.169.254/ 무엇입니까?"}, parts[shape]]}


@pytest.mark.parametrize("shape", range(4))
def test_no_address_in_a_message_is_passed_on_unless_it_is_on_the_list(shape: int) -> None:
    egress = Egress(["https://*.example.com/pictures/*"])
    check_media([message(DATA, shape), message("https://a.example.com/pictures/1.png", shape)], egress)
    for url in (
        "http://169.254.169.254/latest/meta-data",
        "http://stt:8001/v1/models",
        "file:///etc/passwd",
        "https://a.example.com/other",
        "DATA:,",
        " data:,",
        "",
    ):
        with pytest.raises(Problem) as refused:
            check_media([message(DATA, shape), message(url, shape)], egress)
        assert refused.value.status == 422


def test_words_are_no_addresses() -> None:
    check_media([{"role": "user", "content": "http://10.0.0.1/"}, {"role": "assistant", "content": None}], Egress([]))


def test_by_default_nothing_is_fetched_for_a_message() -> None:
    assert LlmSettings().media_urls == ()


def test_a_message_with_an_address_reaches_no_backend(client: TestClient, street: Street) -> None:
    street["vllm"].will(said("네"))
    for stream in (False, True):
        body = {"model": "default", "stream": stream, "messages": [message("http://169.254.169.254/", 0)]}
        answer = client.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert street["vllm"].asked == []
    answer = client.post("/v1/chat/completions", json={"model": "default", "messages": [message(DATA, 0)]})
    assert answer.status_code == 200
    assert street["vllm"].asked[0]["messages"] == [message(DATA, 0)]

"""Stand-ins for model servers, behind a transport that never leaves the process."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from chammal_llm_gateway.app import create
from chammal_llm_gateway.settings import LlmSettings

Answer = httpx2.Response | Exception
ASK = {"model": "default", "messages": [{"role": "user", "content": "안녕하세요?"}]}
DONE = "[DONE]"


def said(content: str | None, finish: str = "stop", **message: Any) -> httpx2.Response:
    message = {"role": "assistant", "content": content, **message}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return httpx2.Response(200, json={"id": "c1", "model": "served", "choices": choices, "usage": usage})


def token(text: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    content = {} if text is None else {"content": text}
    return {"id": "c1", "choices": [{"index": 0, "delta": {**content, **delta}, "finish_reason": finish}]}


def streamed(*events: dict[str, Any] | str, breaks: Exception | None = None) -> httpx2.Response:
    async def body() -> AsyncIterator[bytes]:
        for event in events:
            data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
            yield f"data: {data}\n\n".encode()
        if breaks:
            raise breaks

    return httpx2.Response(200, content=body(), headers={"content-type": "text/event-stream"})


def refused(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json=body or {"error": {"message": "no"}}, headers=headers)


@dataclass
class ModelServer:
    ids: list[str] = field(default_factory=lambda: ["served"])
    answers: list[Answer | Callable[[], Answer]] = field(default_factory=list)
    """In turn; the last one stays."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[httpx2.Headers] = field(default_factory=list)
    listings: int = 0
    down: bool = False

    def will(self, *answers: Answer | Callable[[], Answer]) -> None:
        self.answers = list(answers)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if self.down:
            raise httpx2.ConnectError("refused")
        self.headers.append(request.headers)
        if request.method == "GET":
            self.listings += 1
            return httpx2.Response(200, json={"data": [{"id": name} for name in self.ids]})
        self.asked.append(json.loads(request.content))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class Street(dict[str, ModelServer]):
    """Model servers by host name."""

    def __missing__(self, host: str) -> ModelServer:
        self[host] = ModelServer()
        return self[host]

    def transport(self) -> httpx2.AsyncBaseTransport:
        async def handle(request: httpx2.Request) -> httpx2.Response:
            return self[request.url.host].answer(request)

        return httpx2.MockTransport(handle)


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def open_client(street: Street) -> Callable[..., Any]:
    @contextmanager
    def opened(**told: Any) -> Iterator[TestClient]:
        settings = LlmSettings(**{"vllm_url": "http://vllm", "ollama_url": "http://ollama", **told})
        with TestClient(create(settings, transport=street.transport)) as client:
            yield client

    return opened


@pytest.fixture
def client(open_client: Callable[..., Any]) -> Iterator[TestClient]:
    with open_client() as opened:
        yield opened


def events_of(text: str) -> list[Any]:
    """The data of a stream's events; an error event as its name and data."""
    events: list[Any] = []
    for block in text.strip().split("\n\n"):
        name, data = "", ""
        for line in block.split("\n"):
            kind, _, value = line.partition(": ")
            name, data = (value, data) if kind == "event" else (name, value)
        parsed = data if data == DONE else json.loads(data)
        events.append((name, parsed) if name else parsed)
    return events


def contents(events: Sequence[Any]) -> str:
    return "".join(
        event["choices"][0]["delta"].get("content") or ""
        for event in events
        if isinstance(event, dict) and event["choices"]
    )

"""The official client against the service, both on real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import openai
import pytest
import uvicorn

from chammal_llm_gateway.app import create
from chammal_llm_gateway.settings import LlmSettings

from .conftest import ASK, DONE, token

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"도시": {"type": "string"}},
    "required": ["도시"],
    "additionalProperties": False,
}
MESSAGES = ASK["messages"]
STREAM = [token("", role="assistant"), token("안녕"), token("하세요"), token(finish="stop"), DONE]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


class ModelServer:
    """Speaks just enough HTTP; `hangs` keeps its answer back and notes when the caller leaves."""

    def __init__(self) -> None:
        self.hangs = False
        self.breaks = False
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._answer(reader, writer)
        self.left.set()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.startswith("get"):
            return self._whole(writer, {"data": [{"id": "served"}]})
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        self.asked.set()
        if body.get("stream"):
            return self._stream(writer)
        if self.hangs:
            return None
        content = '{"도시": "서울"}' if "response_format" in body else "안녕하세요"
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        return self._whole(
            writer, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        )

    def _whole(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)

    def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in STREAM[:2] if self.hangs or self.breaks else STREAM:
            data = b"data: " + (event if isinstance(event, str) else json.dumps(event)).encode() + b"\n\n"
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        if self.breaks:
            writer.close()
        elif not self.hangs:
            writer.write(b"0\r\n\r\n")


class Server(uvicorn.Server):
    """Says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[str]:
    app = create(LlmSettings(vllm_url=url))
    server = Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    running = asyncio.create_task(server.serve())
    await server.up.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/v1"
    server.should_exit = True
    await running


@pytest.fixture
def model() -> ModelServer:
    return ModelServer()


@pytest.fixture
async def client(model: ModelServer) -> AsyncIterator[openai.AsyncOpenAI]:
    upstream = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    async with serving(url) as base, openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0) as subject:
        yield subject
    upstream.close()


def create_of(client: openai.AsyncOpenAI) -> Any:
    """Untyped, since tests give plain dictionaries."""
    return client.chat.completions.create


async def test_a_plain_answer(client: openai.AsyncOpenAI) -> None:
    answer = await create_of(client)(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == "안녕하세요"
    assert (answer.model_extra or {})["chammal"]["backend"] == "vllm"


async def test_a_stream(client: openai.AsyncOpenAI) -> None:
    stream = await create_of(client)(model="default", messages=MESSAGES, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "안녕하세요"


async def test_json_by_schema(client: openai.AsyncOpenAI) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
    answer = await create_of(client)(model="default", messages=MESSAGES, response_format=wanted)
    assert json.loads(answer.choices[0].message.content) == {"도시": "서울"}


async def test_the_list_of_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["default", "served"]


async def test_a_stream_that_breaks_raises_in_the_client(client: openai.AsyncOpenAI, model: ModelServer) -> None:
    model.breaks = True
    stream = await create_of(client)(model="default", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match="broke off in stage chat"):
        async for _ in stream:
            pass


async def test_an_unknown_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="served"):
        await create_of(client)(model="nope", messages=MESSAGES)


async def test_a_caller_s_own_short_time_is_told_as_such_and_lets_the_backend_go(
    client: openai.AsyncOpenAI, model: ModelServer
) -> None:
    model.hangs = True
    with pytest.raises(openai.APIStatusError) as caught:
        await create_of(client)(model="default", messages=MESSAGES, extra_headers={"Chammal-Deadline": "0.3"})
    assert caught.value.status_code == 504
    assert caught.value.response.json()["code"] == "deadline_exceeded"
    assert caught.value.response.headers["chammal-attempts"] == "vllm=deadline_exceeded"
    await model.left.wait()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_the_upstream_call(
    client: openai.AsyncOpenAI, model: ModelServer, stream: bool
) -> None:
    model.hangs = True

    async def ask() -> None:
        answer = await create_of(client)(model="default", messages=MESSAGES, stream=stream)
        async for _ in answer:
            pass

    asking = asyncio.create_task(ask())
    await model.asked.wait()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    await model.left.wait()

"""A streamed chat, read word by word from whatever blocks it comes in."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from chammal_api.clients.chat import ChatStream, stream_chat
from chammal_contracts.stages import BreakerState, FailureType
from chammal_kit.breaker import BreakerPolicy
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Timeouts, Upstream, UpstreamError, UpstreamPolicy

pytestmark = pytest.mark.anyio

PROVENANCE = {"backend": "vllm", "model": "qwen", "attempts": []}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def event(content: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": members.pop("finish", None)}
    return b"data: " + json.dumps({"choices": [choice], **members}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
GOOD = b"".join(
    (
        event("", chammal=PROVENANCE),
        b": a comment\r\n\r\n",
        event("안녕"),
        event("하세요"),
        event(None, finish="stop"),
        b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n',
        DONE,
    )
)


class Blocks(httpx2.AsyncBaseTransport):
    def __init__(self, body: bytes, size: int, media_type: str = "text/event-stream") -> None:
        self._blocks = [body[at : at + size] for at in range(0, len(body), size)]
        self._media_type = media_type
        self.asked: dict[str, Any] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked = json.loads(await request.aread())

        async def body() -> AsyncIterator[bytes]:
            for block in self._blocks:
                yield block

        return httpx2.Response(200, headers={"content-type": self._media_type}, content=body())


async def read(transport: Blocks) -> tuple[list[str], ChatStream]:
    policy = UpstreamPolicy(retry=RetryPolicy(retries=0), breaker=BreakerPolicy(failures_in_a_row=1))
    gateway = Upstream("llm-gateway", "http://gateway", policy, transport=transport)
    asking = stream_chat(gateway, [{"role": "user", "content": "x"}], model="m", max_tokens=9, timeouts=Timeouts())
    try:
        async with asking as stream:
            return [words async for words in stream.deltas()], stream
    except UpstreamError as error:
        error.detail = f"{gateway.breaker.state}: {error.detail}"
        raise


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
async def test_words_come_whole_wherever_the_blocks_are_cut(size: int) -> None:
    transport = Blocks(GOOD, size)
    words, stream = await read(transport)
    assert words == ["안녕", "하세요"]
    assert stream.provenance is not None
    assert (stream.provenance.backend, stream.finish_reason) == ("vllm", "stop")
    assert stream.usage is not None
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens, stream.usage.cached_tokens) == (7, 2, 0)
    assert transport.asked["stream_options"] == {"include_usage": True}
    assert (transport.asked["model"], transport.asked["max_tokens"]) == ("m", 9)


@pytest.mark.parametrize(
    ("body", "blamed"),
    [
        (event("half"), True),
        (event("half") + b"data: not json\n\n", True),
        (event("half") + b'data: {"no": "choices"}\n\n', True),
        (b"data: " + b"x" * 2_000_000, True),
        (event("half") + b'event: error\ndata: {"detail": "x"}\n\n', False),
    ],
)
async def test_a_stream_that_is_none_is_an_error_and_the_gateway_is_blamed_for_its_own(
    body: bytes, blamed: bool
) -> None:
    with pytest.raises(UpstreamError) as raised:
        await read(Blocks(body, 1000))
    state = BreakerState.OPEN if blamed else BreakerState.CLOSED
    assert raised.value.failure in (FailureType.INVALID_RESPONSE, FailureType.CONNECTION_LOST)
    assert raised.value.detail.startswith(state)


async def test_an_answer_that_is_no_stream_is_unusable() -> None:
    with pytest.raises(UpstreamError, match="application/json"):
        await read(Blocks(b"{}", 10, "application/json"))


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("<think>\nHm, 네?\n</think>\n\n네, 맞습니다.", "네, 맞습니다."),
        ("\n<think></think>Yes.", "Yes."),
        ("<thinking is good>", "<thinking is good>"),
        ("<th", "<th"),
        ("<think>no end", ""),
        ("1 < 2 <think>x</think>", "1 < 2 <think>x</think>"),
    ],
)
async def test_what_a_reasoning_model_thinks_is_not_said(written: str, said: str, size: int) -> None:
    body = b"".join(event(written[at : at + size]) for at in range(0, len(written), size)) + DONE
    words, _ = await read(Blocks(body, 10_000))
    assert "".join(words) == said

from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from chammal_kit.body_limit import limit_body, read_body
from chammal_kit.problems import Problem

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def request_of(chunks: list[bytes], declared: int | None = None) -> tuple[Request, AsyncIterator[bytes]]:
    unread = iter(chunks)

    async def receive() -> Message:
        chunk = next(unread, b"")
        return {"type": "http.request", "body": chunk, "more_body": chunk != b""}

    headers = [(b"content-length", str(declared).encode())] if declared is not None else []
    return Request({"type": "http", "headers": headers, "method": "POST"}, receive), unread  # type: ignore[return-value]


async def test_a_body_within_the_limit_is_read_whole() -> None:
    request, _ = request_of([b"abc", b"def"], declared=6)
    assert await limit_body(request, 6).body() == b"abcdef"


async def test_a_declared_size_past_the_limit_is_refused_before_reading() -> None:
    request, unread = request_of([b"abc"], declared=7)
    with pytest.raises(Problem) as refused:
        limit_body(request, 6)
    assert refused.value.status == 413
    assert next(unread) == b"abc"


async def test_a_body_that_hides_its_size_stops_at_the_limit() -> None:
    request, unread = request_of([b"abc", b"defg", b"never read"])
    with pytest.raises(Problem) as refused:
        await limit_body(request, 6).body()
    assert refused.value.status == 413
    assert next(unread) == b"never read"


async def test_a_body_is_read_at_once_within_the_same_limit() -> None:
    request, _ = request_of([b"abc", b"def"], declared=6)
    assert await read_body(request, 6) == b"abcdef"
    for chunks, declared in (([b"abc"], 7), ([b"abc", b"defg"], None)):
        request, _ = request_of(chunks, declared)
        with pytest.raises(Problem) as refused:
            await read_body(request, 6)
        assert refused.value.status == 413


async def test_a_caller_that_leaves_before_its_body_is_whole_is_gone() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await read_body(Request({"type": "http", "headers": [], "method": "POST"}, receive), 6)

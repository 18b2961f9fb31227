import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from chammal_kit.disconnect import unless_disconnected

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def stays() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def leaves() -> Message:
    return {"type": "http.disconnect"}


async def test_the_result_is_returned_while_the_caller_waits() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await unless_disconnected(stays, work()) == 7


async def test_work_is_cancelled_when_the_caller_leaves() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ClientDisconnect):
        await unless_disconnected(leaves, work())
    assert cancelled.is_set()


async def test_an_error_of_the_work_comes_out_as_itself() -> None:
    async def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        await unless_disconnected(stays, work())


async def test_cancelling_the_request_cancels_the_work() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    request = asyncio.create_task(unless_disconnected(stays, work()))
    await started.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert cancelled.is_set()

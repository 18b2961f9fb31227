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


async def test_who_leaves_when_the_work_is_done_changes_nothing() -> None:
    leaving = asyncio.Event()

    async def leaves_then() -> Message:
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def work() -> int:
        leaving.set()
        return 7

    task = asyncio.current_task()
    assert task is not None
    assert await unless_disconnected(leaves_then, work()) == 7
    await asyncio.sleep(0)
    assert task.cancelling() == 0


async def test_a_cancelled_request_stays_cancelled_though_the_caller_leaves_too() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    request = asyncio.create_task(unless_disconnected(leaves, work()))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_time_limit_of_the_work_is_no_disconnection() -> None:
    async def work() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await unless_disconnected(stays, work())


async def test_a_request_can_wait_on_after_its_caller_has_left() -> None:
    """Nothing of the cancellation is left over for what comes after."""
    with pytest.raises(ClientDisconnect):
        await unless_disconnected(leaves, asyncio.Event().wait())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(5):
        await asyncio.sleep(0)

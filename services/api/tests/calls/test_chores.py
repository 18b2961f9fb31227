import asyncio

import pytest

from chammal_api.calls import chores
from chammal_api.calls.chores import regularly

pytestmark = pytest.mark.anyio
GUARD = 10


class Chore:
    def __init__(self, fault: Exception | None = None) -> None:
        self.begun, self.may_end, self.thrice = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.times = 0
        self._fault = fault

    async def __call__(self) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.times += 1
        if self.times == 3:
            self.thrice.set()
        if self._fault:
            raise self._fault


async def cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_chore_under_way_comes_to_its_end_when_the_process_leaves() -> None:
    chore = Chore()
    async with asyncio.timeout(GUARD):
        task = asyncio.create_task(regularly(0, chore, "a test"))
        await chore.begun.wait()
        asyncio.get_running_loop().call_soon(chore.may_end.set)
        await cancelled(task)
    assert chore.times == 1


async def test_one_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "LEAVE_SECONDS", 0.01)
    chore = Chore()
    async with asyncio.timeout(GUARD):
        task = asyncio.create_task(regularly(0, chore, "a test"))
        await chore.begun.wait()
        await cancelled(task)
    assert chore.times == 0


@pytest.mark.parametrize("fault", [OSError("disk"), ValueError("ours")])
async def test_one_that_fails_is_done_again(fault: Exception) -> None:
    chore = Chore(fault)
    chore.may_end.set()
    async with asyncio.timeout(GUARD):
        task = asyncio.create_task(regularly(0, chore, "a test"))
        await chore.thrice.wait()
        await cancelled(task)

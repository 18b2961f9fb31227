import asyncio
from dataclasses import dataclass

import pytest
from sqlalchemy.exc import OperationalError

from chammal_api.calls.backlog import FRESH_SECONDS, Backlog
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

pytestmark = pytest.mark.anyio


@dataclass
class Known:
    queued: int = 0
    running: int = 0
    healing: int = 0
    oldest_heal_seconds: float = 0.0
    stored_bytes: int = 0


class Store:
    def __init__(self, queued: int) -> None:
        self.known = Known(queued)
        self.asked = 0

    async def counts(self) -> Known:
        self.asked += 1
        return self.known


async def test_calls_are_admitted_up_to_the_most_that_may_wait() -> None:
    backlog = Backlog(Store(8), max_queued=10, at_once=2, clock=lambda: 0.0)
    await backlog.admit()
    await backlog.admit()
    with pytest.raises(Problem) as refused:
        await backlog.admit()
    assert refused.value.status == 429
    assert refused.value.code is ErrorCode.BACKLOG_FULL
    assert int(refused.value.headers["Retry-After"]) >= 5


async def test_the_store_is_asked_once_a_while() -> None:
    now = [0.0]
    store = Store(0)
    backlog = Backlog(store, max_queued=10, at_once=2, clock=lambda: now[0])
    for _ in range(5):
        await backlog.admit()
    assert store.asked == 1
    now[0] += FRESH_SECONDS
    await backlog.admit()
    assert store.asked == 2


async def test_what_was_counted_is_not_believed_once_it_is_to_be_forgotten() -> None:
    store = Store(0)
    backlog = Backlog(store, max_queued=10, at_once=2, clock=lambda: 0.0)
    await backlog.counts()
    backlog.forget()
    await backlog.counts()
    assert store.asked == 2


async def test_a_store_that_does_not_answer_is_waited_for_once_by_all_who_came_meanwhile() -> None:
    class Away:
        asked = 0
        answers = asyncio.Event()

        async def counts(self) -> Known:
            self.asked += 1
            await self.answers.wait()
            raise OperationalError("select", {}, Exception("away"))

    store, now = Away(), [0.0]
    backlog = Backlog(store, max_queued=10, at_once=2, clock=lambda: now[0])
    waiting = [asyncio.create_task(backlog.admit()) for _ in range(5)]
    await asyncio.sleep(0)
    now[0] = 10.0
    store.answers.set()
    assert all(isinstance(one, OperationalError) for one in await asyncio.gather(*waiting, return_exceptions=True))
    assert store.asked == 1
    now[0] = 10.1
    with pytest.raises(OperationalError):
        await backlog.admit()
    assert store.asked == 2


async def test_the_more_wait_the_later_one_may_come_again() -> None:
    async def wait(queued: int) -> int:
        with pytest.raises(Problem) as refused:
            await Backlog(Store(queued), max_queued=10, at_once=2, clock=lambda: 0.0).admit()
        return int(refused.value.headers["Retry-After"])

    assert await wait(10) < await wait(15) <= 600


async def test_what_calls_took_says_when_there_is_room() -> None:
    backlog = Backlog(Store(10), max_queued=10, at_once=1, clock=lambda: 0.0)
    for _ in range(200):
        backlog.ended(300.0)
    with pytest.raises(Problem) as refused:
        await backlog.admit()
    assert int(refused.value.headers["Retry-After"]) == 300

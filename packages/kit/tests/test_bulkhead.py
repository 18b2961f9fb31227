import asyncio

import pytest

from chammal_kit.bulkhead import Bulkhead, BulkheadFull

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_slot_is_taken_at_once() -> None:
    bulkhead = Bulkhead("llm", concurrency=2, queue=0)
    await bulkhead.acquire()
    await bulkhead.acquire()
    assert bulkhead.in_flight == 2
    with pytest.raises(BulkheadFull) as caught:
        await bulkhead.acquire()
    assert caught.value.retry_after > 0
    bulkhead.release()
    await bulkhead.acquire()


async def test_those_who_wait_go_in_the_order_they_came() -> None:
    bulkhead = Bulkhead("llm", concurrency=1, queue=3, queue_seconds=60)
    order: list[int] = []

    async def call(number: int) -> None:
        await bulkhead.acquire()
        order.append(number)
        bulkhead.release()

    await bulkhead.acquire()
    tasks = [asyncio.ensure_future(call(number)) for number in range(3)]
    await settle()
    assert bulkhead.waiting == 3
    with pytest.raises(BulkheadFull):
        await bulkhead.acquire()
    bulkhead.release()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


async def test_waiting_ends_when_the_queue_time_or_the_caller_s_own_time_is_over() -> None:
    for bulkhead, own in ((Bulkhead("llm", 1, 1, 0.0), None), (Bulkhead("llm", 1, 1, 60.0), 0.0)):
        await bulkhead.acquire()
        with pytest.raises(BulkheadFull):
            await bulkhead.acquire(own)
        assert (bulkhead.in_flight, bulkhead.waiting) == (1, 0)


async def test_a_caller_who_gives_up_while_waiting_leaves_no_trace() -> None:
    bulkhead = Bulkhead("llm", concurrency=1, queue=2, queue_seconds=60)
    await bulkhead.acquire()
    leaving, staying = (asyncio.ensure_future(bulkhead.acquire()) for _ in range(2))
    await settle()
    leaving.cancel()
    await settle()
    assert bulkhead.waiting == 1
    bulkhead.release()
    await staying
    bulkhead.release()
    assert bulkhead.in_flight == 0


async def test_a_slot_handed_to_a_caller_who_is_cancelled_in_the_same_moment_is_not_lost() -> None:
    bulkhead = Bulkhead("llm", concurrency=1, queue=2, queue_seconds=60)
    await bulkhead.acquire()
    unlucky, next_one = (asyncio.ensure_future(bulkhead.acquire()) for _ in range(2))
    await settle()
    bulkhead.release()
    unlucky.cancel()
    await next_one
    assert unlucky.cancelled()
    bulkhead.release()
    assert bulkhead.in_flight == 0


async def test_a_slot_freed_after_its_first_waiter_was_cancelled_goes_to_the_next() -> None:
    bulkhead = Bulkhead("llm", concurrency=1, queue=2, queue_seconds=60)
    await bulkhead.acquire()
    unlucky, next_one = (asyncio.ensure_future(bulkhead.acquire()) for _ in range(2))
    await settle()
    unlucky.cancel()
    bulkhead.release()
    await next_one
    bulkhead.release()
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)

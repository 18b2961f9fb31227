import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


async def test_of_thousands_who_wait_those_who_stay_are_served_in_order_and_those_who_leave_cost_nothing() -> None:
    bulkhead = Bulkhead("llm", concurrency=3, queue=9000, queue_seconds=600)
    order: list[int] = []

    async def call(number: int) -> None:
        await bulkhead.acquire()
        try:
            order.append(number)
            await asyncio.sleep(0)
        finally:
            bulkhead.release()

    tasks = [asyncio.ensure_future(call(number)) for number in range(9000)]
    await settle()
    leaving = [task for number, task in enumerate(tasks) if number % 3 and not task.done()]
    for task in reversed(leaving):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.done() for task in tasks)
    assert [number for number in order if number % 3 == 0] == list(range(0, 9000, 3))
    assert order == sorted(order)
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


async def test_a_flood_of_expired_waiters_leaves_no_trace() -> None:
    bulkhead = Bulkhead("llm", concurrency=1, queue=5000, queue_seconds=0)
    await bulkhead.acquire()
    ends = await asyncio.gather(*(bulkhead.acquire() for _ in range(5000)), return_exceptions=True)
    assert all(isinstance(end, BulkheadFull) for end in ends)
    assert (bulkhead.in_flight, bulkhead.waiting) == (1, 0)
    bulkhead.release()
    await bulkhead.acquire()
    assert bulkhead.in_flight == 1


steps = st.lists(
    st.tuples(st.sampled_from(["come", "leave", "release", "expire", "run"]), st.integers(0, 9)), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_whatever_happens_in_whatever_order_no_slot_is_lost_or_made(history: list[tuple[str, int]]) -> None:
    asyncio.run(attack(history))


async def attack(history: list[tuple[str, int]]) -> None:
    """Several things happen between two turns of the loop, as they do under load."""
    bulkhead = Bulkhead("llm", concurrency=2, queue=5, queue_seconds=600)
    tasks: list[asyncio.Task[None]] = []
    held = 0

    def holders() -> int:
        return sum(task.done() and not task.cancelled() and task.exception() is None for task in tasks)

    for verb, number in history:
        if verb == "come":
            tasks.append(asyncio.ensure_future(bulkhead.acquire()))
        elif verb == "leave" and tasks:
            tasks[number % len(tasks)].cancel()
        elif verb == "release" and held < holders():
            held += 1
            bulkhead.release()
        elif verb == "expire" and bulkhead.waiting:
            bulkhead._expire(list(bulkhead._waiting)[number % bulkhead.waiting])
        else:
            await settle()
            assert bulkhead.in_flight == holders() - held
            assert bulkhead.in_flight <= 2
            assert bulkhead.waiting <= 5
            assert not bulkhead.waiting or bulkhead.in_flight == 2
    await settle()
    for task in tasks:
        task.cancel()
    await settle()
    while held < holders():
        held += 1
        bulkhead.release()
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)
    await asyncio.gather(*tasks, return_exceptions=True)

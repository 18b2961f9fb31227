"""Callers that come in crowds and leave at any moment, over real sockets: what is left is what was there before."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from chammal_contracts.stages import BreakerState
from chammal_kit.deadline import Deadline, set_deadline
from chammal_kit.upstream import Hedge, Timeouts, Upstream, UpstreamError, UpstreamPolicy

pytestmark = pytest.mark.anyio

CALLERS = 300
POLICY = UpstreamPolicy.model_validate(
    {
        "concurrency": 8,
        "queue": 200,
        "queue_seconds": 0.3,
        "retry": {"wait_min": 0, "wait_max": 0.01},
        "breaker": {"open_seconds": 0.01, "open_seconds_max": 0.02, "probes": 2},
    }
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    set_deadline(None)
    async with asyncio.timeout(30):
        yield


async def moody(seen: Any, writer: asyncio.StreamWriter) -> None:
    mood = random.random()
    if mood < 0.1:
        await asyncio.sleep(0.05)
    if mood < 0.15:
        writer.transport.abort()
    elif mood < 0.3:
        writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    elif mood < 0.35:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        await writer.drain()
        writer.close()
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await asyncio.sleep(0.01 * mood)
        writer.write(b"0\r\n\r\n")


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        await asyncio.sleep(0)
        yield b"x" * 1000


async def call(subject: Upstream, kind: int) -> None:
    if kind % 7 == 0:
        set_deadline(Deadline.after(0.02))
    if kind % 4 == 0:
        await subject.request("GET", "/", hedge=Hedge(seconds=0.005))
    elif kind % 4 == 1:
        await subject.request("POST", "/", body=pieces if kind % 8 == 1 else pieces())
    elif kind % 4 == 2:
        async with subject.stream("POST", "/", json={}) as answer:
            async for _ in answer:
                if kind % 8 == 2:
                    break
    else:
        await subject.request("POST", "/", json={"kind": kind}, timeouts=Timeouts(first_byte=0.03, total=0.2))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_storm_of_callers_that_leave_at_random_leaks_no_slot_no_connection_and_no_probe(
    faults: Any, seed: int
) -> None:
    random.seed(seed)
    faults.answer = moody
    subject = Upstream("llm", faults.url, POLICY, observers=())
    async with aclosing(subject):
        tasks: list[asyncio.Task[None]] = []
        for number in range(CALLERS):
            tasks.append(asyncio.create_task(call(subject, number)))
            if random.random() < 0.3:
                await asyncio.sleep(0.003)
            if random.random() < 0.5:
                random.choice(tasks).cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None or isinstance(end, UpstreamError | asyncio.CancelledError) for end in ends)
        assert any(end is None for end in ends)
        assert (subject.bulkhead.in_flight, subject.bulkhead.waiting) == (0, 0)
        assert not subject._transport._session.connector._acquired  # type: ignore[attr-defined]
        assert len(asyncio.all_tasks()) < 60, "only the server's own, one a connection"
        faults.always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        subject.breaker.health_ok()
        assert (await subject.request("GET", "/")).body == b"ok"
        assert subject.breaker.state is BreakerState.CLOSED

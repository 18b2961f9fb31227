import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from chammal_contracts.stages import AttemptOutcome, BreakerState, FailureType
from chammal_kit.deadline import set_deadline
from chammal_kit.hedge import Hedge, Hedged, HedgeOutcome, Latencies
from chammal_kit.upstream import Upstream, UpstreamError, UpstreamPolicy
from chammal_kit.upstream_events import AttemptEnded, UpstreamEvent

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
FAILED = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
AT_ONCE = Hedge(seconds=0.01)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    set_deadline(None)
    async with asyncio.timeout(30):
        yield


@asynccontextmanager
async def using(server: Any, events: list[UpstreamEvent] | None = None, **policy: Any) -> AsyncIterator[Upstream]:
    policy.setdefault("retry", {"wait_min": 0, "wait_max": 0})
    observers = () if events is None else (events.append,)
    async with aclosing(Upstream("llm", server.url, UpstreamPolicy(**policy), observers=observers)) as subject:
        yield subject
        assert (subject.bulkhead.in_flight, subject.bulkhead.waiting) == (0, 0)


def scripted(server: Any, *answers: bytes | None) -> None:
    """An answer for each request in turn; None hangs until the client leaves."""

    async def answer(seen: Any, writer: asyncio.StreamWriter) -> None:
        data = answers[len(server.seen) - 1]
        if data is None:
            await server.hang(seen, writer)
        else:
            writer.write(data)

    server.answer = answer


def outcomes(attempts: list[Any]) -> list[AttemptOutcome]:
    return [attempt.outcome for attempt in attempts]


async def test_a_slow_first_try_is_overtaken_by_a_second_and_its_connection_closed(faults: Any) -> None:
    scripted(faults, None, OK + b"two")
    events: list[UpstreamEvent] = []
    async with using(faults, events) as subject:
        reply = await subject.request("GET", "/models", hedge=AT_ONCE)
        await faults.gone.wait()
        assert subject.breaker.state is BreakerState.CLOSED
    assert reply.body == b"two"
    assert outcomes(reply.attempts) == [AttemptOutcome.OK, AttemptOutcome.SUPERSEDED]
    assert Hedged("llm", HedgeOutcome.WON) in events
    assert [e.cancelled for e in events if isinstance(e, AttemptEnded)] == [False, True]


async def test_a_first_try_that_answers_after_all_wins(faults: Any) -> None:
    async def first_waits_for_second(seen: Any, writer: asyncio.StreamWriter) -> None:
        if len(faults.seen) == 1:
            faults.arrived.clear()
            await faults.arrived.wait()
            writer.write(OK + b"one")
        else:
            await faults.hang(seen, writer)

    faults.answer = first_waits_for_second
    events: list[UpstreamEvent] = []
    async with using(faults, events) as subject:
        reply = await subject.request("GET", "/models", hedge=AT_ONCE)
        await faults.gone.wait()
    assert reply.body == b"one"
    assert outcomes(reply.attempts) == [AttemptOutcome.OK, AttemptOutcome.SUPERSEDED]
    assert Hedged("llm", HedgeOutcome.LOST) in events


async def test_a_call_that_is_not_slow_is_sent_once(faults: Any) -> None:
    scripted(faults, OK + b"one")
    async with using(faults) as subject:
        reply = await subject.request("GET", "/models", hedge=Hedge(seconds=20))
    assert outcomes(reply.attempts) == [AttemptOutcome.OK]


async def test_nothing_is_hedged_that_nobody_asked_for(faults: Any) -> None:
    faults.always(OK + b"one")
    async with using(faults) as subject:
        for _ in range(30):
            await subject.request("GET", "/models")
        assert not subject._latencies._seconds
    assert len(faults.seen) == 30


async def test_where_both_fail_the_first_failure_is_told_and_there_is_no_third_try(faults: Any) -> None:
    failed_503 = FAILED.replace(b"500", b"503")

    async def both_fail(seen: Any, writer: asyncio.StreamWriter) -> None:
        if len(faults.seen) == 1:
            faults.arrived.clear()
            await faults.arrived.wait()
            writer.write(failed_503)
        else:
            writer.write(FAILED)

    faults.answer = both_fail
    async with using(faults) as subject:
        with pytest.raises(UpstreamError) as caught:
            await subject.request("GET", "/models", hedge=AT_ONCE)
    assert caught.value.failure is FailureType.UNAVAILABLE
    assert sorted(a.http_status or 0 for a in caught.value.attempts) == [500, 503]
    assert len(faults.seen) == 2


async def test_a_failed_hedge_leaves_the_first_try_its_time(faults: Any) -> None:
    async def second_fails(seen: Any, writer: asyncio.StreamWriter) -> None:
        if len(faults.seen) == 1:
            faults.arrived.clear()
            await faults.arrived.wait()
            await asyncio.sleep(0.05)
            writer.write(OK + b"one")
        else:
            writer.write(FAILED)

    faults.answer = second_fails
    async with using(faults) as subject:
        reply = await subject.request("GET", "/models", hedge=AT_ONCE)
    assert reply.body == b"one"
    assert outcomes(reply.attempts) == [AttemptOutcome.FAILED, AttemptOutcome.OK]


async def test_a_quick_failure_is_retried_and_the_retry_not_hedged(faults: Any) -> None:
    async def answer(seen: Any, writer: asyncio.StreamWriter) -> None:
        if len(faults.seen) == 1:
            writer.write(FAILED.replace(b"500", b"503"))
        else:
            await asyncio.sleep(0.05)
            writer.write(OK + b"two")

    faults.answer = answer
    async with using(faults) as subject:
        reply = await subject.request("GET", "/models", hedge=AT_ONCE)
    assert outcomes(reply.attempts) == [AttemptOutcome.FAILED, AttemptOutcome.OK]
    assert len(faults.seen) == 2


async def test_hedges_draw_on_the_budget_of_retries(faults: Any) -> None:
    async def slow(seen: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(OK + b"one")

    faults.answer = slow
    events: list[UpstreamEvent] = []
    async with using(faults, events) as subject:
        for _ in range(10):
            await subject.request("GET", "/models", hedge=AT_ONCE)
    assert len(faults.seen) == 13
    told = [event.outcome for event in events if isinstance(event, Hedged)]
    assert told.count(HedgeOutcome.REFUSED) == 7


async def test_there_is_no_hedge_where_it_would_take_the_last_slot_or_be_a_second_probe(faults: Any) -> None:
    async def slow(seen: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(OK + b"one")

    faults.answer = slow
    async with using(faults, concurrency=1) as subject:
        await subject.request("GET", "/models", hedge=AT_ONCE)
    assert len(faults.seen) == 1
    async with using(faults) as subject:
        for _ in range(5):
            subject.breaker.admit().fail()
        subject.breaker.health_ok()
        await subject.request("GET", "/models", hedge=AT_ONCE)
        assert subject.breaker.state is BreakerState.CLOSED
    assert len(faults.seen) == 2


async def test_a_caller_that_leaves_ends_both_tries(faults: Any) -> None:
    scripted(faults, None, None)
    async with using(faults) as subject:
        caller = asyncio.ensure_future(subject.request("GET", "/models", hedge=AT_ONCE))
        while len(faults.seen) < 2:
            faults.arrived.clear()
            await faults.arrived.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        assert caller.cancelled()
        await faults.gone.wait()
        assert not subject._transport._session.connector._acquired  # type: ignore[attr-defined]


async def test_what_cannot_be_sent_twice_cannot_be_hedged(faults: Any) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    async with using(faults) as subject:
        part = ("a.wav", b"RIFF", "audio/wav")
        for arguments in ({"repeatable": False}, {"body": body()}, {"files": [("file", part)]}):
            with pytest.raises(ValueError, match="twice"):
                await subject.request("POST", "/", hedge=AT_ONCE, **arguments)  # type: ignore[call-overload]


async def test_without_a_fixed_wait_the_hedge_comes_after_the_95th_percentile_of_the_same_endpoint(faults: Any) -> None:
    faults.always(OK + b"one")
    async with using(faults) as subject:
        for _ in range(20):
            await subject.request("GET", "/models", hedge=Hedge())
        assert len(faults.seen) == 20

        async def one_hangs(seen: Any, writer: asyncio.StreamWriter) -> None:
            if len(faults.seen) == 21:
                await faults.hang(seen, writer)
            writer.write(OK + b"two")

        faults.answer = one_hangs
        reply = await subject.request("GET", "/models", hedge=Hedge())
    assert outcomes(reply.attempts) == [AttemptOutcome.OK, AttemptOutcome.SUPERSEDED]


async def test_a_percentile_needs_enough_answers_and_belongs_to_one_endpoint() -> None:
    subject = Latencies()
    for number in range(19):
        subject.note(("GET", "/a"), float(number))
    assert subject.p95(("GET", "/a")) is None
    subject.note(("GET", "/a"), 19.0)
    assert 18 < (subject.p95(("GET", "/a")) or 0) <= 20
    assert subject.p95(("GET", "/b")) is None
    for number in range(1000):
        subject.note(("GET", f"/{number}"), 1.0)
        subject.note(("GET", "/a"), 1.0)
    assert len(subject._seconds) == 32
    assert subject.p95(("GET", "/a")) == 1.0

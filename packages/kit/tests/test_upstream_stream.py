import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from chammal_contracts.stages import Attempt, AttemptOutcome, BreakerState, FailureType
from chammal_kit.deadline import set_deadline
from chammal_kit.upstream import Timeouts, Upstream, UpstreamError, UpstreamPolicy, UpstreamRejected

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


WHOLE = HEAD + chunk(b"one") + chunk(b"two") + chunk(b"")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    set_deadline(None)
    async with asyncio.timeout(30):
        yield


@asynccontextmanager
async def using(server: Any, *, retries: int = 0, **policy: Any) -> AsyncIterator[Upstream]:
    retry = {"retries": retries, "wait_min": 0, "wait_max": 0}
    subject = Upstream("tts", server.url, UpstreamPolicy(retry=retry, **policy), observers=())
    async with aclosing(subject):
        yield subject
        assert subject.bulkhead.in_flight == 0


async def endless(seen: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(chunk(b"data"))
        await writer.drain()
        await asyncio.sleep(0)


async def half(seen: Any, writer: asyncio.StreamWriter) -> None:
    """Two pieces, then nothing."""
    writer.write(HEAD + chunk(b"one") + chunk(b"two"))
    await writer.drain()
    await asyncio.Event().wait()


async def collect(subject: Upstream, **request: Any) -> bytes:
    async with subject.stream("POST", "/", json={}, **request) as answer:
        return b"".join([piece async for piece in answer])


async def collect_and_break(subject: Upstream) -> None:
    async with subject.stream("GET", "/") as answer:
        await anext(answer)
        raise KeyError


async def misunderstand(subject: Upstream) -> None:
    async with subject.stream("GET", "/") as answer:
        await anext(answer)
        raise answer.unusable("not an event")


def open_soon(subject: Upstream, failures: int = 4) -> None:
    """One more failure opens it, and a success would start the count anew."""
    for _ in range(failures):
        subject.breaker.admit().fail()


async def test_an_answer_is_given_piece_by_piece_and_its_end_is_the_success(faults: Any) -> None:
    faults.always(WHOLE)
    async with using(faults) as subject:
        open_soon(subject)
        async with subject.stream("POST", "/v1/speech", json={"input": "말"}) as answer:
            assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
            assert answer.attempts == []
            assert subject.bulkhead.in_flight == 1
            assert b"".join([piece async for piece in answer]) == b"onetwo"
            assert await anext(answer, None) is None
        assert subject.bulkhead.in_flight == 0
        assert [a.outcome for a in answer.attempts] == [AttemptOutcome.OK]
        open_soon(subject)
        assert subject.breaker.state is BreakerState.CLOSED
        assert await collect(subject) == b"onetwo"
    assert faults.connections == 1


async def test_a_failure_before_the_status_is_repeated(faults: Any) -> None:
    async def second_time(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE if len(faults.seen) == 2 else b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    faults.answer = second_time
    async with using(faults, retries=1) as subject:
        assert await collect(subject) == b"onetwo"
    assert len(faults.seen) == 2


async def test_a_failure_after_it_is_not_repeated_and_counts(faults: Any) -> None:
    async def cut(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(b"one"))
        await writer.drain()
        writer.close()

    faults.answer = cut
    async with using(faults, retries=1) as subject:
        for _ in range(5):
            with pytest.raises(UpstreamError) as caught:
                await collect(subject)
            assert (caught.value.failure, len(caught.value.attempts)) == (FailureType.CONNECTION_LOST, 1)
        assert subject.breaker.state is BreakerState.OPEN
    assert len(faults.seen) == 5


async def test_silence_while_streaming_is_a_read_timeout(faults: Any) -> None:
    faults.answer = half
    async with using(faults, timeouts=Timeouts(idle=0.02)) as subject:
        open_soon(subject)
        with pytest.raises(UpstreamError) as caught:
            await collect(subject)
        assert caught.value.failure is FailureType.READ_TIMEOUT
        assert subject.breaker.state is BreakerState.OPEN


async def test_the_total_holds_while_streaming(faults: Any) -> None:
    faults.answer = endless
    async with using(faults, max_response_bytes=1 << 40, timeouts=Timeouts(total=0.1)) as subject:
        with pytest.raises(UpstreamError) as caught:
            await collect(subject)
        assert caught.value.failure is FailureType.DEADLINE_EXCEEDED


async def test_the_byte_cap_holds_while_streaming(faults: Any) -> None:
    faults.answer = endless
    async with using(faults, max_response_bytes=1000) as subject:
        with pytest.raises(UpstreamError) as caught:
            await collect(subject)
        assert caught.value.failure is FailureType.RESPONSE_TOO_LARGE
        await faults.gone.wait()


async def test_an_error_status_is_raised_on_entering(faults: Any) -> None:
    faults.always(b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone")
    async with using(faults) as subject:
        with pytest.raises(UpstreamRejected) as caught:
            await collect(subject)
        assert caught.value.body == b"none"


async def test_leaving_early_is_a_success_and_ends_the_connection(faults: Any) -> None:
    faults.answer = endless
    async with using(faults) as subject:
        open_soon(subject)
        async with subject.stream("GET", "/") as answer:
            async for _ in answer:
                break
        await faults.gone.wait()
        open_soon(subject)
        assert subject.breaker.state is BreakerState.CLOSED


async def test_a_consumer_that_goes_away_counts_for_nothing(faults: Any) -> None:
    faults.answer = half
    async with using(faults) as subject:
        open_soon(subject)
        for _ in range(5):
            faults.arrived.clear()
            consumer = asyncio.ensure_future(collect(subject))
            await faults.arrived.wait()
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)
        with pytest.raises(KeyError):
            await collect_and_break(subject)
        assert subject.breaker.state is BreakerState.CLOSED
        subject.breaker.admit().fail()
        assert subject.breaker.state is BreakerState.OPEN
        assert not subject._transport._session.connector._acquired  # type: ignore[attr-defined]


async def test_a_consumer_can_say_that_the_bytes_make_no_sense(faults: Any) -> None:
    faults.always(WHOLE)
    async with using(faults) as subject:
        open_soon(subject)
        with pytest.raises(UpstreamError) as caught:
            await misunderstand(subject)
        assert caught.value.failure is FailureType.INVALID_RESPONSE
        assert subject.breaker.state is BreakerState.OPEN


async def test_a_consumer_that_never_comes_back_loses_its_slot_at_the_deadline(faults: Any) -> None:
    faults.answer = endless
    async with using(faults, timeouts=Timeouts(total=0.05)) as subject:
        open_soon(subject)
        async with subject.stream("GET", "/") as answer:
            await anext(answer)
            await faults.gone.wait()
            assert subject.bulkhead.in_flight == 0
            with pytest.raises(UpstreamError) as caught:
                await anext(answer)
        assert caught.value.failure is FailureType.DEADLINE_EXCEEDED
        assert subject.breaker.state is BreakerState.CLOSED


async def test_an_answer_may_be_read_in_another_task_than_it_was_opened_in(faults: Any) -> None:
    faults.always(WHOLE)
    async with using(faults) as subject:
        block = subject.stream("GET", "/")
        answer = await asyncio.create_task(block.__aenter__())

        async def rest() -> bytes:
            return b"".join([piece async for piece in answer])

        assert await asyncio.create_task(rest()) == b"onetwo"
        await asyncio.create_task(block.__aexit__(None, None, None))


async def test_an_answer_that_proves_useless_once_it_was_read_to_its_end_is_a_failure(faults: Any) -> None:
    faults.always(WHOLE)
    attempts: list[Attempt] = []

    async def read_in_vain(subject: Upstream) -> None:
        async with subject.stream("POST", "/v1/speech", json={}) as answer:
            assert b"".join([piece async for piece in answer]) == b"onetwo"
            nonlocal attempts
            attempts = answer.attempts
            raise answer.unusable("it makes no sense as a whole")

    async with using(faults) as subject:
        open_soon(subject)
        with pytest.raises(UpstreamError):
            await read_in_vain(subject)
        assert subject.breaker.state is BreakerState.OPEN
    assert [a.error_type for a in attempts] == [FailureType.INVALID_RESPONSE]

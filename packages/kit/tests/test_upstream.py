import asyncio
import gc
import gzip
import socket
import tracemalloc
import weakref
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from traceback import walk_tb
from typing import Any

import pytest

from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import AttemptOutcome, BreakerState, FailureType
from chammal_kit.deadline import Deadline, set_deadline
from chammal_kit.problems import Problem
from chammal_kit.request_id import enter_request
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Reply, Timeouts, Upstream, UpstreamError, UpstreamPolicy, UpstreamRejected

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'
NO_WAIT = {"wait_min": 0, "wait_max": 0}


def status(code: int, headers: str = "", body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {code} Some\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def guard() -> AsyncIterator[None]:
    set_deadline(None)
    async with asyncio.timeout(30):
        yield


def upstream(server: Any, *, retries: int = 0, timeouts: Timeouts | None = None, **policy: Any) -> Upstream:
    policy.setdefault("retry", {"retries": retries, **NO_WAIT})
    url = server if isinstance(server, str) else server.url
    return Upstream("llm", url, UpstreamPolicy(timeouts=timeouts or Timeouts(), **policy), observers=())


@asynccontextmanager
async def using(server: Any, **policy: Any) -> AsyncIterator[Upstream]:
    subject = upstream(server, **policy)
    async with aclosing(subject):
        yield subject
        assert (subject.bulkhead.in_flight, subject.bulkhead.waiting) == (0, 0)


async def failing(subject: Upstream, **request: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await subject.request("POST", "/v1/thing", **{"json": {}, **request})
    return caught.value


def as_json(reply: Reply[None]) -> Any:
    return reply.json()


def pool(subject: Upstream) -> Any:
    return subject._transport._session.connector  # type: ignore[attr-defined]


# What works


async def test_an_answer_comes_with_its_attempts_and_connections_are_reused(faults: Any) -> None:
    faults.always(OK)
    async with using(faults) as subject:
        for _ in range(3):
            reply = await subject.request("POST", "/v1/thing?x=1", json={"q": "질문"}, parse=as_json)
        assert (reply.status, reply.body, reply.value) == (200, b'{"a": 1}', {"a": 1})
        assert [(a.backend, a.outcome, a.error_type) for a in reply.attempts] == [("llm", AttemptOutcome.OK, None)]
        assert reply.headers["content-length"] == "8"
    assert faults.connections == 1
    assert faults.seen[0].line == "POST /v1/thing?x=1 HTTP/1.1"
    assert faults.seen[0].body.decode() == '{"q":"질문"}'


async def test_request_id_and_what_remains_of_the_deadline_are_passed_on(faults: Any) -> None:
    faults.always(OK)
    set_deadline(Deadline.after(5))
    request_id = enter_request(b"call-7")
    async with using(faults) as subject:
        await subject.request("GET", "/", headers={"X-Request-Id": "forged", "Host": "elsewhere", "Accept": "a/b"})
    headers = faults.seen[0].headers
    assert headers["x-request-id"] == request_id == "call-7"
    assert 0 < float(headers["chammal-deadline"]) <= 5
    assert headers["host"] == f"127.0.0.1:{faults.port}"
    assert (headers["accept"], headers["accept-encoding"]) == ("a/b", "identity")


async def test_without_a_caller_s_deadline_the_policy_s_total_is_passed_on(faults: Any) -> None:
    faults.always(OK)
    async with using(faults) as subject:
        await subject.request("GET", "/", timeouts=Timeouts(total=7))
    assert 6 < float(faults.seen[0].headers["chammal-deadline"]) <= 7


async def test_proxies_of_the_environment_are_not_used(faults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    faults.always(OK)
    async with using(faults) as subject:
        assert (await subject.request("GET", "/")).status == 200


async def test_files_and_fields_go_as_multipart(faults: Any) -> None:
    faults.always(OK)
    async with using(faults) as subject:
        await subject.request("POST", "/", files=[("file", ("a.wav", b"RIFF", "audio/wav"))], form={"model": "base"})
    body = faults.seen[0].body
    assert b'name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF' in body
    assert b'name="model"\r\n\r\nbase' in body


async def test_a_path_cannot_lead_elsewhere(faults: Any) -> None:
    async with using(faults) as subject:
        with pytest.raises(ValueError, match="slash"):
            await subject.request("GET", "@elsewhere/")


# Faults and their names


async def test_a_refused_connection_is_a_connect_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        async with using(f"http://127.0.0.1:{taken.getsockname()[1]}") as subject:
            assert (await failing(subject)).failure is FailureType.CONNECT_ERROR


async def hang(seen: Any, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_hung_upstream_is_a_read_timeout_is_not_repeated_and_opens_the_breaker(faults: Any) -> None:
    faults.answer = hang
    async with using(faults, retries=1, timeouts=Timeouts(first_byte=0.02)) as subject:
        for _ in range(5):
            error = await failing(subject)
            assert error.failure is FailureType.READ_TIMEOUT
            assert len(error.attempts) == 1
        assert subject.breaker.state is BreakerState.OPEN
        assert (await failing(subject)).failure is FailureType.BREAKER_OPEN
    assert faults.connections == 5


async def test_a_slow_drip_cannot_outlast_the_total(faults: Any) -> None:
    async def drip(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    faults.answer = drip
    async with using(faults, timeouts=Timeouts(idle=5, total=0.1)) as subject:
        for _ in range(5):
            assert (await failing(subject)).failure is FailureType.DEADLINE_EXCEEDED
        assert subject.breaker.state is BreakerState.OPEN


async def test_dripping_headers_cannot_outlast_the_total_either(faults: Any) -> None:
    async def drip(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    faults.answer = drip
    async with using(faults, timeouts=Timeouts(total=0.1)) as subject:
        assert (await failing(subject)).failure is FailureType.DEADLINE_EXCEEDED


async def test_silence_in_the_middle_is_a_read_timeout(faults: Any) -> None:
    async def stall(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await hang(seen, writer)

    faults.answer = stall
    async with using(faults, retries=1, timeouts=Timeouts(idle=0.02)) as subject:
        error = await failing(subject)
    assert (error.failure, error.http_status, len(error.attempts)) == (FailureType.READ_TIMEOUT, 200, 1)


async def test_headers_alone_do_not_end_the_wait_for_the_first_byte(faults: Any) -> None:
    async def only_headers(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        await hang(seen, writer)

    faults.answer = only_headers
    async with using(faults, timeouts=Timeouts(first_byte=0.02, idle=60)) as subject:
        assert (await failing(subject)).failure is FailureType.READ_TIMEOUT


async def test_pauses_longer_than_the_first_byte_time_are_fine_where_idle_allows_them(faults: Any) -> None:
    async def pause(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await writer.drain()
        await asyncio.sleep(0.4)
        writer.write(b"cd")

    faults.answer = pause
    async with using(faults, timeouts=Timeouts(first_byte=0.2, idle=10)) as subject:
        assert (await subject.request("GET", "/")).body == b"abcd"


async def test_a_reset_in_the_middle_is_a_lost_connection_and_is_not_repeated(faults: Any) -> None:
    async def reset(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await writer.drain()
        writer.close()

    faults.answer = reset
    async with using(faults, retries=1) as subject:
        error = await failing(subject)
    assert (error.failure, len(error.attempts)) == (FailureType.CONNECTION_LOST, 1)


async def test_a_reset_before_the_answer_is_repeated_once(faults: Any) -> None:
    async def first_resets(seen: Any, writer: asyncio.StreamWriter) -> None:
        if len(faults.seen) == 1:
            writer.transport.abort()
        else:
            writer.write(OK)

    faults.answer = first_resets
    async with using(faults, retries=1) as subject:
        reply = await subject.request("POST", "/", body=b"again")
    assert [a.error_type for a in reply.attempts] == [FailureType.CONNECTION_LOST, None]
    assert [seen.body for seen in faults.seen] == [b"again", b"again"]


async def test_no_http_at_all_is_a_lost_connection(faults: Any) -> None:
    faults.always(b"\x00\x01 what\r\n\r\n")
    async with using(faults) as subject:
        assert (await failing(subject)).failure is FailureType.CONNECTION_LOST


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (500, FailureType.HTTP_ERROR),
        (502, FailureType.HTTP_ERROR),
        (503, FailureType.UNAVAILABLE),
        (504, FailureType.HTTP_ERROR),
        (429, FailureType.RATE_LIMITED),
        (302, FailureType.INVALID_RESPONSE),
    ],
)
async def test_bad_statuses_are_failures_and_retry_after_sets_how_long_the_breaker_is_open(
    faults: Any, code: int, failure: FailureType
) -> None:
    faults.always(status(code, "Retry-After: 17\r\nLocation: /elsewhere\r\n", b"because"))
    async with using(faults) as subject:
        for _ in range(5):
            error = await failing(subject)
            assert (error.failure, error.http_status, error.retry_after, error.body) == (
                failure,
                code,
                17.0,
                b"because",
            )
            assert not isinstance(error, UpstreamRejected)
        assert subject.breaker.state is BreakerState.OPEN
        assert 16 < subject.breaker.retry_after <= 17
    assert all(seen.line.startswith("POST /v1/thing") for seen in faults.seen)


async def test_a_rejected_request_keeps_its_answer_and_never_opens_the_breaker(faults: Any) -> None:
    faults.always(status(422, body=b'{"detail": "no"}'))
    async with using(faults, retries=1) as subject:
        for _ in range(20):
            error = await failing(subject)
        assert isinstance(error, UpstreamRejected)
        assert (error.failure, error.body, len(error.attempts)) == (FailureType.REJECTED, b'{"detail": "no"}', 1)
        assert subject.breaker.state is BreakerState.CLOSED
    assert faults.connections == 1


async def test_408_says_nothing_about_the_upstream(faults: Any) -> None:
    faults.always(status(408))
    async with using(faults) as subject:
        for _ in range(20):
            assert (await failing(subject)).failure is FailureType.HTTP_ERROR
        assert subject.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize(("code", "state"), [(401, BreakerState.OPEN), (403, BreakerState.CLOSED), (404, "closed")])
async def test_a_wrong_key_opens_the_breaker_and_what_a_caller_can_bring_about_does_not(
    faults: Any, code: int, state: BreakerState
) -> None:
    faults.always(status(code))
    async with using(faults, retries=1) as subject:
        for _ in range(5):
            await failing(subject)
        assert subject.breaker.state == state
    assert len(faults.seen) == 5


async def test_impatient_callers_do_not_open_the_breaker_by_way_of_the_upstream_s_own_504(faults: Any) -> None:
    told = Problem(504, ErrorCode.DEADLINE_EXCEEDED, "late").body().model_dump_json().encode()
    faults.always(status(504, body=told))
    async with using(faults, retries=1) as subject:
        for _ in range(10):
            assert (await failing(subject)).failure is FailureType.DEADLINE_EXCEEDED
        assert subject.breaker.state is BreakerState.CLOSED
    async with using(faults, timeouts=Timeouts(first_byte=0.0001)) as subject:
        for _ in range(5):
            await failing(subject)
        assert subject.breaker.state is BreakerState.OPEN


@pytest.mark.parametrize(
    ("name", "value"), [("Accept", "a\x01b"), ("Accept", "한국어"), ("Content-Length", "5"), ("Content-Length", "-1")]
)
async def test_a_request_that_cannot_be_sent_is_the_caller_s_fault_and_not_the_upstream_s(
    faults: Any, name: str, value: str
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    faults.always(OK)
    async with using(faults, retries=1) as subject:
        for _ in range(10):
            error = await failing(subject, json=None, body=pieces, headers={name: value})
            assert isinstance(error, UpstreamRejected)
            assert (error.failure, error.http_status) == (FailureType.REJECTED, None)
        assert subject.breaker.state is BreakerState.CLOSED


# Slow calls


async def late(seen: Any, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.02)
    writer.write(OK)


SLOW = {"slow_share": 0.001}


async def test_answers_that_come_late_open_the_breaker_and_a_late_probe_keeps_it_open(faults: Any) -> None:
    faults.answer = late
    async with using(faults, breaker=SLOW) as subject:
        for _ in range(10):
            assert (await subject.request("GET", "/")).status == 200
        assert subject.breaker.state is BreakerState.OPEN
        subject.breaker.health_ok()
        assert (await subject.request("GET", "/")).status == 200
        assert subject.breaker.state is BreakerState.OPEN
        faults.always(OK)
        subject.breaker.health_ok()
        await subject.request("GET", "/", timeouts=Timeouts(first_byte=29_000, total=29_000))
        assert subject.breaker.state is BreakerState.CLOSED


async def test_slow_uploaders_and_slow_readers_make_no_slow_calls(faults: Any) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"abc"
        await asyncio.sleep(0.2)
        yield b"def"

    faults.always(OK)
    async with using(faults, breaker={"slow_share": 0.015, "minimum_calls": 4}) as subject:
        for _ in range(3):
            await subject.request("POST", "/", body=slow())
            async with subject.stream("GET", "/") as answer:
                await asyncio.sleep(0.2)
                assert await anext(answer) == b'{"a": 1}'
        assert subject.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("body", [b"<html>", b'{"a": NaN}', b"[" * 9999], ids=["html", "nan", "deep"])
async def test_an_unusable_answer_is_a_failure(faults: Any, body: bytes) -> None:
    faults.always(status(200, body=body))
    async with using(faults) as subject:
        for _ in range(5):
            error = await failing(subject, parse=as_json)
            assert (error.failure, error.http_status) == (FailureType.INVALID_RESPONSE, 200)
        assert subject.breaker.state is BreakerState.OPEN


async def test_a_parser_s_value_error_is_an_invalid_response(faults: Any) -> None:
    faults.always(OK)
    async with using(faults) as subject:
        error = await failing(subject, parse=lambda reply: int(reply.body))
    assert error.failure is FailureType.INVALID_RESPONSE


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 99999999999\r\n", b"Transfer-Encoding: chunked\r\n", b""],
    ids=["length", "chunked", "none"],
)
async def test_more_bytes_than_allowed_are_not_read(faults: Any, head: bytes) -> None:
    async def endless(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            await writer.drain()

    faults.answer = endless
    async with using(faults, max_response_bytes=100_000) as subject:
        assert (await failing(subject)).failure is FailureType.RESPONSE_TOO_LARGE
        await faults.gone.wait()


async def test_an_error_that_is_kept_does_not_keep_what_was_read(faults: Any) -> None:
    faults.always(status(200, "", b"x" * 6_000_000))
    async with using(faults, max_response_bytes=5_000_000) as subject:
        error = await failing(subject)
    held = [value for frame, _ in walk_tb(error.__traceback__) for value in frame.f_locals.values()]
    assert not any(isinstance(piece, bytes) for value in held if isinstance(value, list) for piece in value)


async def test_a_retry_that_fails_leaves_no_circle(faults: Any) -> None:
    faults.always(status(503, "", b""))
    async with using(faults, retry=RetryPolicy(wait_min=0, wait_max=0)) as subject:
        gc.collect()
        gc.disable()
        try:
            try:
                await subject.request("GET", "/")
            except UpstreamError as error:
                attempts, kept = error.attempts, weakref.ref(error)
            assert len(attempts) == 2
            assert kept() is None
        finally:
            gc.enable()


async def test_compressed_answers_are_refused_and_never_inflated(faults: Any) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    faults.always(status(200, "Content-Encoding: gzip\r\n", bomb))
    async with using(faults) as subject:
        assert (await failing(subject)).failure is FailureType.INVALID_RESPONSE


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(faults: Any) -> None:
    async def answer_and_leave(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        left.set()

    left = asyncio.Event()
    faults.answer = answer_and_leave
    async with using(faults) as subject:
        for _ in range(3):
            assert (await subject.request("GET", "/")).status == 200
            await left.wait()
            left.clear()
    assert faults.connections == 3


async def test_a_connection_closed_while_the_request_is_on_its_way_is_a_retry(faults: Any) -> None:
    async def second_on_a_connection_is_cut(seen: Any, writer: asyncio.StreamWriter) -> None:
        if len(faults.seen) == 2:
            writer.close()
        else:
            writer.write(OK)

    faults.answer = second_on_a_connection_is_cut
    async with using(faults, retries=1) as subject:
        await subject.request("GET", "/")
        assert len((await subject.request("GET", "/")).attempts) == 2
    assert faults.connections == 2


# Deadlines, breaker, bulkhead


async def test_the_caller_s_deadline_ends_the_call_and_impatient_callers_do_not_open_the_breaker(faults: Any) -> None:
    faults.answer = hang
    async with using(faults) as subject:
        for _ in range(10):
            set_deadline(Deadline.after(0.02))
            assert (await failing(subject)).failure is FailureType.DEADLINE_EXCEEDED
        assert subject.breaker.state is BreakerState.CLOSED


async def test_after_the_deadline_nothing_is_sent(faults: Any) -> None:
    set_deadline(Deadline.after(0))
    async with using(faults) as subject:
        error = await failing(subject)
    assert error.failure is FailureType.DEADLINE_EXCEEDED
    assert [a.outcome for a in error.attempts] == [AttemptOutcome.REFUSED]
    assert faults.connections == 0


async def test_an_open_breaker_rejects_without_touching_the_network_and_recovers_by_one_probe(faults: Any) -> None:
    faults.always(status(500))
    async with using(faults) as subject:
        for _ in range(5):
            await failing(subject)
        faults.always(OK)
        for _ in range(50):
            error = await failing(subject)
            assert error.failure is FailureType.BREAKER_OPEN
            assert error.retry_after is not None
        assert len(faults.seen) == 5
        await subject.probe("/health")
        assert subject.breaker.state is BreakerState.HALF_OPEN
        await subject.request("GET", "/")
        assert subject.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("retry_after", ["", "Retry-After: 1\r\n"])
async def test_an_upstream_that_sheds_load_is_neither_asked_again_nor_blamed(faults: Any, retry_after: str) -> None:
    told = Problem(503, ErrorCode.OVERLOADED, "full").body().model_dump_json().encode()
    faults.always(status(503, retry_after, told))
    async with using(faults, retries=1) as subject:
        for _ in range(20):
            assert (await failing(subject)).failure is FailureType.UNAVAILABLE
        assert subject.breaker.state is BreakerState.CLOSED
    assert len(faults.seen) == 20


async def test_a_request_that_met_a_server_on_its_way_out_goes_to_the_next_and_nobody_is_blamed(faults: Any) -> None:
    told = Problem(503, ErrorCode.SERVER_SHUTTING_DOWN, "later").body().model_dump_json().encode()
    faults.always(status(503, "Retry-After: 0\r\n", told))
    async with using(faults, retries=1) as subject:
        for _ in range(5):
            assert (await failing(subject)).failure is FailureType.UNAVAILABLE
        assert subject.breaker.state is BreakerState.CLOSED
    assert len(faults.seen) > 5


async def test_a_failed_health_check_changes_nothing(faults: Any) -> None:
    faults.always(status(503))
    async with using(faults) as subject:
        for _ in range(10):
            with pytest.raises(UpstreamError):
                await subject.probe("/ready")
        assert subject.breaker.state is BreakerState.CLOSED


async def test_those_who_queued_before_the_breaker_opened_are_not_sent_after_it_has(faults: Any) -> None:
    faults.always(status(503))
    async with using(faults, concurrency=1, queue=50, queue_seconds=20) as subject:
        errors = await asyncio.gather(*(failing(subject) for _ in range(40)))
        assert [error.failure for error in errors].count(FailureType.BREAKER_OPEN) == 35
        assert len(faults.seen) == 5


async def test_nor_do_they_pass_beside_the_probe(faults: Any) -> None:
    entered, answered = asyncio.Event(), asyncio.Event()

    async def one_at_a_time(seen: Any, writer: asyncio.StreamWriter) -> None:
        entered.set()
        await answered.wait()
        writer.write(OK)

    faults.answer = one_at_a_time
    async with using(faults, concurrency=2, queue=50, queue_seconds=20) as subject:
        callers = [asyncio.ensure_future(subject.request("GET", "/")) for _ in range(20)]
        await entered.wait()
        for _ in range(5):
            subject.breaker.admit().fail()
        subject.breaker.health_ok()
        probe = subject.breaker.admit()
        answered.set()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert sum(isinstance(end, Reply) for end in ends) == 2, "those who were under way"
        probe.succeed()
        assert subject.breaker.state is BreakerState.CLOSED


async def test_a_full_bulkhead_refuses_and_counts_for_nothing(faults: Any) -> None:
    faults.answer = hang
    async with using(faults, concurrency=1, queue=0) as subject:
        first = asyncio.ensure_future(subject.request("GET", "/"))
        await faults.arrived.wait()
        for _ in range(10):
            error = await failing(subject)
            assert (error.failure, error.retry_after) == (FailureType.BULKHEAD_FULL, 1.0)
        assert subject.breaker.state is BreakerState.CLOSED
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_cancelled_callers_leave_no_slot_no_connection_and_no_mark(faults: Any) -> None:
    faults.answer = hang
    async with using(faults, concurrency=4, queue=16, queue_seconds=20) as subject:
        for turns in range(1, 40):
            tasks = [asyncio.ensure_future(subject.request("GET", "/")) for _ in range(10)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert (subject.bulkhead.in_flight, subject.bulkhead.waiting) == (0, 0)
        assert not pool(subject)._acquired
        assert subject.breaker.state is BreakerState.CLOSED
        faults.always(OK)
        assert (await subject.request("GET", "/")).status == 200
        assert sum(map(len, pool(subject)._conns.values())) == 1


async def test_a_cancelled_probe_lets_the_next_one_go(faults: Any) -> None:
    faults.always(status(500))
    async with using(faults, breaker={"open_seconds": 0.001}) as subject:
        for _ in range(5):
            await failing(subject)
        faults.answer = hang
        faults.arrived.clear()
        subject.breaker.health_ok()
        probe = asyncio.ensure_future(subject.request("GET", "/"))
        await faults.arrived.wait()
        assert (await failing(subject)).failure is FailureType.BREAKER_OPEN
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        faults.always(OK)
        await subject.request("GET", "/")
        assert subject.breaker.state is BreakerState.CLOSED


# Uploads


async def test_an_upload_is_streamed_in_flat_memory(faults: Any) -> None:
    faults.always(OK)
    faults.keep_bodies = False

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(512):
            yield bytes(65536)

    async with using(faults) as subject:
        tracemalloc.start()
        try:
            await subject.request("POST", "/", body=pieces())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert faults.received == 512 * 65536
    assert peak < 4_000_000


async def test_the_length_of_a_streamed_body_is_kept_where_the_caller_knows_it(faults: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    faults.always(OK)
    async with using(faults) as subject:
        await subject.request("POST", "/", body=pieces(), headers={"Content-Length": "4"})
    assert (faults.seen[0].headers.get("transfer-encoding"), faults.seen[0].body) == (None, b"abcd")


async def test_a_body_that_can_be_made_anew_is_repeated_and_one_that_cannot_is_not(faults: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"body"

    faults.always(status(503))
    async with using(faults, retries=1) as subject:
        assert len((await failing(subject, json=None, body=pieces)).attempts) == 2
        assert len((await failing(subject, json=None, body=pieces())).attempts) == 1
    assert [seen.body for seen in faults.seen] == [b"body"] * 3


async def test_a_body_that_breaks_is_the_caller_s_own_error(faults: Any) -> None:
    class Gone(Exception):
        pass

    async def breaks() -> AsyncIterator[bytes]:
        yield b"abc"
        raise Gone

    faults.always(OK)
    async with using(faults) as subject:
        for _ in range(10):
            with pytest.raises(Gone):
                await subject.request("POST", "/", body=breaks())
        assert subject.breaker.state is BreakerState.CLOSED


async def test_slow_uploaders_do_not_open_the_breaker(faults: Any) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"abc"
        await asyncio.Event().wait()

    faults.always(OK)
    async with using(faults, timeouts=Timeouts(total=0.02)) as subject:
        for _ in range(10):
            assert (await failing(subject, json=None, body=slow())).failure is FailureType.DEADLINE_EXCEEDED
        assert subject.breaker.state is BreakerState.CLOSED


async def test_an_upstream_that_takes_no_bytes_is_a_read_timeout() -> None:
    async def much() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with using(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeouts=Timeouts(idle=0.05)) as subject:
            assert (await failing(subject, json=None, body=much())).failure is FailureType.READ_TIMEOUT


async def test_hanging_up_on_an_unwanted_upload_does_not_open_the_breaker() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(status(413))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server, using(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as subject:
        for _ in range(10):
            error = await failing(subject, json=None, body=endless())
            assert error.failure in (FailureType.CONNECTION_LOST, FailureType.REJECTED)
        assert subject.breaker.state is BreakerState.CLOSED


async def test_what_a_server_says_against_an_unwanted_upload_is_heard_while_it_is_sent() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(status(413, body=b"at most 1 MiB"))
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        writer.close()
        gone.set()

    gone = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server, using(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as subject:
        error = await failing(subject, json=None, body=endless())
        assert isinstance(error, UpstreamRejected)
        assert (error.http_status, error.body) == (413, b"at most 1 MiB")
        await gone.wait()


async def test_the_key_that_an_upstream_repeats_in_an_error_is_crossed_out(faults: Any) -> None:
    body = b'{"error": "Incorrect API key provided: sk-1234. x-api-key: sk-5678"}'
    faults.always(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    keys = {"Authorization": "Bearer sk-1234", "X-Api-Key": "sk-5678"}
    async with aclosing(Upstream("llm", faults.url.replace("//", "//user:word@"), headers=keys)) as llm:
        with pytest.raises(UpstreamError) as failed:
            await llm.request("GET", "/")
    assert failed.value.body == b'{"error": "Incorrect API key provided: ***. x-api-key: ***"}'
    assert llm.base_url == faults.url
    assert faults.seen[0].headers["authorization"] == "Bearer sk-1234"

from collections.abc import Callable

import pytest

from chammal_contracts.stages import FailureType
from chammal_kit.retry import Retrier, RetryEvent, RetryPlanned, RetryPolicy, RetryRefused
from chammal_kit.upstream_errors import UpstreamError, UpstreamRejected

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def failure(kind: FailureType, status: int | None = None, retry_after: float | None = None) -> UpstreamError:
    return UpstreamError("llm", kind, "on purpose", http_status=status, retry_after=retry_after)


REFUSED = FailureType.CONNECT_ERROR


class Calls:
    """Fails as listed, then answers."""

    def __init__(self, *failures: UpstreamError) -> None:
        self.failures = list(failures)
        self.count = 0

    async def __call__(self) -> str:
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def retrier(waits: list[RetryEvent] | None = None, may_go: Callable[[], bool] = lambda: True) -> Retrier:
    return Retrier(
        RetryPolicy(wait_min=0, wait_max=0), may_go=may_go, observe=(waits if waits is not None else []).append
    )


async def go(subject: Retrier, calls: Calls, *, repeatable: bool = True, remaining: float = 30.0) -> str:
    return await subject.run(calls, repeatable=lambda: repeatable, remaining=lambda: remaining)


@pytest.mark.parametrize(
    "error",
    [
        failure(REFUSED),
        failure(FailureType.CONNECTION_LOST),
        failure(FailureType.RATE_LIMITED, 429),
        failure(FailureType.HTTP_ERROR, 502),
        failure(FailureType.UNAVAILABLE, 503),
        failure(FailureType.HTTP_ERROR, 504),
    ],
    ids=str,
)
async def test_what_is_safe_is_repeated_once_and_announced(error: UpstreamError) -> None:
    planned: list[RetryEvent] = []
    calls = Calls(error)
    assert await go(retrier(planned), calls) == "answer"
    assert calls.count == 2
    assert planned == [RetryPlanned("llm", error.failure, 0.0)]


async def test_there_is_never_a_second_retry() -> None:
    last = failure(FailureType.UNAVAILABLE, 503)
    calls = Calls(failure(REFUSED), last)
    with pytest.raises(UpstreamError) as caught:
        await go(retrier(), calls)
    assert caught.value is last
    assert calls.count == 2


@pytest.mark.parametrize(
    "error",
    [
        failure(FailureType.READ_TIMEOUT),
        failure(FailureType.CONNECT_TIMEOUT),
        failure(FailureType.DEADLINE_EXCEEDED),
        failure(FailureType.HTTP_ERROR, 500),
        failure(FailureType.HTTP_ERROR, 408),
        failure(FailureType.INVALID_RESPONSE, 200),
        failure(FailureType.CONNECTION_LOST, 200),
        failure(FailureType.BREAKER_OPEN),
        failure(FailureType.BULKHEAD_FULL),
        UpstreamRejected("llm", FailureType.REJECTED, "on purpose", http_status=422),
    ],
    ids=str,
)
async def test_all_else_is_not_repeated(error: UpstreamError) -> None:
    calls = Calls(error)
    with pytest.raises(UpstreamError) as caught:
        await go(retrier(), calls)
    assert caught.value is error
    assert calls.count == 1


async def test_what_cannot_be_sent_twice_is_not_repeated() -> None:
    calls = Calls(failure(REFUSED))
    with pytest.raises(UpstreamError):
        await go(retrier(), calls, repeatable=False)
    assert calls.count == 1


async def test_nothing_is_repeated_when_the_breaker_would_refuse_it() -> None:
    calls = Calls(failure(REFUSED))
    with pytest.raises(UpstreamError):
        await go(retrier(may_go=lambda: False), calls)
    assert calls.count == 1


async def test_no_wait_is_begun_that_would_outlast_the_deadline() -> None:
    first = failure(FailureType.UNAVAILABLE, 503, retry_after=5.0)
    calls = Calls(first)
    with pytest.raises(UpstreamError) as caught:
        await go(retrier(), calls, remaining=5.0)
    assert caught.value is first
    assert calls.count == 1


async def test_retry_after_lengthens_the_wait() -> None:
    planned: list[RetryEvent] = []
    error = failure(FailureType.UNAVAILABLE, 503, retry_after=0.001)
    subject = Retrier(RetryPolicy(), observe=planned.append, draw=lambda low, high: 0.0)
    assert await go(subject, Calls(error)) == "answer"
    assert planned == [RetryPlanned("llm", FailureType.UNAVAILABLE, 0.001)]


async def test_who_asks_for_a_long_wait_is_not_asked_again() -> None:
    calls = Calls(failure(FailureType.UNAVAILABLE, 503, retry_after=2.5))
    with pytest.raises(UpstreamError):
        await go(Retrier(RetryPolicy(), draw=lambda low, high: 0.0), calls, remaining=60.0)
    assert calls.count == 1


async def test_waits_are_drawn_from_the_whole_range() -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return 0.0

    assert await go(Retrier(RetryPolicy(), draw=draw), Calls(failure(REFUSED))) == "answer"
    assert drawn == [(0.1, 2.0)]


async def test_a_spent_budget_ends_retries_and_says_so() -> None:
    events: list[RetryEvent] = []
    subject = retrier(events)
    for _ in range(3):
        assert await go(subject, Calls(failure(REFUSED))) == "answer"
    calls = Calls(failure(REFUSED))
    with pytest.raises(UpstreamError):
        await go(subject, calls)
    assert calls.count == 1
    assert events[-1] == RetryRefused("llm", REFUSED)
    for _ in range(36):
        await go(subject, Calls())
    assert await go(subject, Calls(failure(REFUSED))) == "answer"


async def test_calls_that_were_never_sent_earn_no_retries() -> None:
    subject = retrier()
    for _ in range(100):
        with pytest.raises(UpstreamError):
            await go(subject, Calls(failure(FailureType.BREAKER_OPEN)))
    for _ in range(3):
        assert await go(subject, Calls(failure(REFUSED))) == "answer"
    with pytest.raises(UpstreamError):
        await go(subject, Calls(failure(REFUSED)))

import pytest

from chammal_kit.rate_limit import RateLimiter, Taken


class Clock:
    def __init__(self) -> None:
        self.time = 50.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take(limiter: RateLimiter, caller: str = "a", per_minute: int | None = None) -> Taken:
    taken = limiter.take(caller, per_minute)
    assert taken is not None
    return taken


def test_without_a_rate_nobody_is_limited_or_remembered() -> None:
    limiter = RateLimiter(0)
    assert limiter.take("a") is None
    assert len(limiter) == 0


def test_a_burst_is_granted_and_then_one_for_each_interval(clock: Clock) -> None:
    limiter = RateLimiter(60, burst=3, clock=clock)
    assert [take(limiter).granted for _ in range(4)] == [True, True, True, False]
    clock.time += 1.0
    assert [take(limiter).granted for _ in range(2)] == [True, False]
    clock.time += 60.0
    assert [take(limiter).granted for _ in range(4)] == [True, True, True, False]


def test_without_a_burst_a_minutes_worth_may_come_at_once(clock: Clock) -> None:
    limiter = RateLimiter(5, clock=clock)
    assert [take(limiter).granted for _ in range(6)] == [True] * 5 + [False]


def test_callers_do_not_take_from_one_another(clock: Clock) -> None:
    limiter = RateLimiter(1, clock=clock)
    assert take(limiter, "a").granted
    assert take(limiter, "b").granted
    assert not take(limiter, "a").granted


def test_a_key_may_have_a_rate_of_its_own(clock: Clock) -> None:
    limiter = RateLimiter(0, clock=clock)
    assert [take(limiter, per_minute=2).granted for _ in range(3)] == [True, True, False]
    assert limiter.take("b") is None


def test_a_refusal_costs_nothing_and_tells_when_to_come_again(clock: Clock) -> None:
    limiter = RateLimiter(6, burst=1, clock=clock)
    take(limiter)
    refused = [take(limiter) for _ in range(5)][-1]
    assert refused.retry_after == pytest.approx(10.0)
    clock.time += refused.retry_after
    assert take(limiter).granted


def test_the_headers_are_those_of_the_draft(clock: Clock) -> None:
    limiter = RateLimiter(60, burst=2, clock=clock)
    assert take(limiter).headers() == {"RateLimit-Policy": '"requests";q=60;w=60', "RateLimit": '"requests";r=1;t=1'}
    take(limiter)
    assert take(limiter).headers()["RateLimit"] == '"requests";r=0;t=2'
    assert take(limiter).headers()["Retry-After"] == "1"


def test_memory_is_bounded_and_who_was_away_longest_is_forgotten(clock: Clock) -> None:
    limiter = RateLimiter(1, max_callers=100, clock=clock)
    for number in range(1_000):
        take(limiter, str(number))
    assert len(limiter) == 100
    assert not take(limiter, "999").granted
    assert take(limiter, "0").granted


def test_a_clock_that_stands_still_grants_no_more_than_the_burst(clock: Clock) -> None:
    limiter = RateLimiter(7, burst=7, clock=clock)
    assert sum(take(limiter).granted for _ in range(100)) == 7

from dataclasses import FrozenInstanceError

import pytest

from chammal_contracts.stages import BreakerState
from chammal_kit.breaker import (
    HALF_OPEN_RETRY_AFTER,
    BreakerEvent,
    BreakerOpen,
    BreakerPolicy,
    BreakerReason,
    BreakerRejection,
    BreakerTransition,
    CircuitBreaker,
    Closed,
)


class Bench:
    """A breaker whose time stands still until told, and all that it told its observers."""

    def __init__(self, *, jitter: float = 0.0, **policy: object) -> None:
        self.now = 1000.0
        self.events: list[BreakerEvent] = []
        self.breaker = CircuitBreaker(
            "llm",
            BreakerPolicy.model_validate(policy),
            clock=lambda: self.now,
            jitter=lambda: jitter,
            observers=[self.events.append],
        )

    def fail(self, times: int = 1, retry_after: float | None = None) -> None:
        for _ in range(times):
            self.breaker.admit().fail(retry_after)

    def rejection(self) -> BreakerOpen:
        with pytest.raises(BreakerOpen) as caught:
            self.breaker.admit()
        return caught.value

    @property
    def transitions(self) -> list[tuple[BreakerState, BreakerReason]]:
        return [(e.target, e.reason) for e in self.events if isinstance(e, BreakerTransition)]


def test_five_failures_in_a_row_open_it_and_a_success_starts_the_count_anew() -> None:
    bench = Bench()
    bench.fail(4)
    bench.breaker.admit().succeed()
    bench.fail(4)
    assert bench.breaker.state is BreakerState.CLOSED
    bench.fail()
    assert bench.transitions == [(BreakerState.OPEN, BreakerReason.FAILURES_IN_A_ROW)]


def test_half_of_ten_calls_failing_within_the_window_opens_it() -> None:
    bench = Bench()
    for _ in range(5):
        bench.breaker.admit().succeed()
        bench.fail()
        bench.now += 2
    assert bench.transitions == [(BreakerState.OPEN, BreakerReason.FAILURE_RATE)]


def test_failures_that_left_the_window_no_longer_count() -> None:
    bench = Bench(failures_in_a_row=100)
    bench.fail(9)
    bench.now += 30
    bench.fail(9)
    assert bench.breaker.state is BreakerState.CLOSED


def test_open_rejects_with_the_time_left_and_asks_no_observer_twice() -> None:
    bench = Bench()
    bench.fail(5)
    bench.now += 2
    assert bench.rejection().retry_after == 3.0
    assert bench.events[-1] == BreakerRejection("llm", BreakerState.OPEN, 3.0, 1002.0)


def test_after_the_wait_one_probe_of_fifty_callers_goes_and_its_success_closes() -> None:
    bench = Bench()
    bench.fail(5)
    bench.now += 5
    probe = bench.breaker.admit()
    for _ in range(49):
        assert bench.rejection().retry_after == HALF_OPEN_RETRY_AFTER
    probe.succeed()
    assert bench.breaker.state is BreakerState.CLOSED


def test_each_failed_probe_doubles_the_wait_up_to_a_minute_and_closing_forgets_it() -> None:
    bench = Bench()
    bench.fail(5)
    for wait in (5.0, 10.0, 20.0, 40.0, 60.0, 60.0):
        assert bench.rejection().retry_after == wait
        bench.now += wait
        bench.fail()
    bench.now += 60
    bench.breaker.admit().succeed()
    bench.fail(5)
    assert bench.rejection().retry_after == 5.0


def test_jitter_shortens_only_doubled_waits() -> None:
    bench = Bench(jitter=0.5)
    bench.fail(5)
    assert bench.rejection().retry_after == 5.0
    bench.now += 5
    bench.fail()
    assert bench.rejection().retry_after == pytest.approx(9.0)


@pytest.mark.parametrize(("asked", "waits"), [(1.0, 1.0), (17.0, 17.0), (86400.0, 300.0), (0.0, 5.0), (None, 5.0)])
def test_retry_after_overrides_the_wait_within_reason(asked: float | None, waits: float) -> None:
    bench = Bench()
    bench.fail(4)
    bench.fail(retry_after=asked)
    assert bench.rejection().retry_after == waits


def test_several_successes_close_it_if_asked_and_one_failure_among_them_opens() -> None:
    bench = Bench(successes_to_close=3)
    bench.fail(5)
    bench.now += 5
    bench.breaker.admit().succeed()
    bench.breaker.admit().succeed()
    assert bench.breaker.state is BreakerState.HALF_OPEN
    bench.fail()
    assert bench.breaker.state is BreakerState.OPEN


def test_cancelled_calls_count_for_nothing() -> None:
    bench = Bench()
    bench.fail(4)
    for _ in range(20):
        bench.breaker.admit().cancel()
    assert bench.breaker.state is BreakerState.CLOSED
    bench.fail()
    assert bench.breaker.state is BreakerState.OPEN


def test_a_cancelled_probe_frees_its_place() -> None:
    bench = Bench()
    bench.fail(5)
    bench.now += 5
    bench.breaker.admit().cancel()
    bench.breaker.admit().succeed()
    assert bench.breaker.state is BreakerState.CLOSED


def test_results_of_calls_from_before_a_transition_are_ignored() -> None:
    bench = Bench()
    old = [bench.breaker.admit() for _ in range(6)]
    bench.fail(5)
    bench.now += 5
    probe = bench.breaker.admit()
    old[0].succeed()
    old[1].fail()
    old[2].cancel()
    assert bench.breaker.state is BreakerState.HALF_OPEN
    bench.rejection()
    probe.succeed()
    for permit in old[3:]:
        permit.fail()
    bench.fail(4)
    assert bench.breaker.state is BreakerState.CLOSED


def test_only_the_first_outcome_of_a_permit_counts() -> None:
    bench = Bench()
    permit = bench.breaker.admit()
    for _ in range(10):
        permit.fail()
    assert bench.breaker.state is BreakerState.CLOSED


def test_a_good_health_check_lets_an_open_breaker_probe_early_but_never_closes_it() -> None:
    bench = Bench()
    bench.breaker.health_ok()
    assert bench.breaker.state is BreakerState.CLOSED
    bench.fail(5)
    bench.breaker.health_ok()
    bench.breaker.health_ok()
    assert bench.breaker.state is BreakerState.HALF_OPEN
    bench.breaker.admit().succeed()
    assert bench.transitions[1:] == [
        (BreakerState.HALF_OPEN, BreakerReason.HEALTH_OK),
        (BreakerState.CLOSED, BreakerReason.PROBES_SUCCEEDED),
    ]


def test_a_failed_health_check_opens_a_closed_breaker_and_moves_no_other() -> None:
    bench = Bench()
    before = bench.breaker.admit()
    bench.breaker.health_failed()
    assert bench.breaker.state is BreakerState.OPEN
    assert bench.breaker.retry_after == pytest.approx(5.0)
    before.succeed()
    bench.breaker.health_failed()
    bench.breaker.health_ok()
    bench.breaker.health_failed()
    assert bench.breaker.state is BreakerState.HALF_OPEN
    assert bench.transitions == [
        (BreakerState.OPEN, BreakerReason.HEALTH_FAILED),
        (BreakerState.HALF_OPEN, BreakerReason.HEALTH_OK),
    ]


def test_retry_after_tells_without_asking_for_a_permit() -> None:
    bench = Bench()
    assert bench.breaker.retry_after == 0.0
    bench.fail(5)
    assert bench.breaker.retry_after == 5.0
    bench.now += 9
    assert bench.breaker.retry_after == 0.0
    bench.breaker.admit()
    assert bench.breaker.retry_after == HALF_OPEN_RETRY_AFTER


def test_states_and_events_cannot_be_changed() -> None:
    bench = Bench()
    bench.fail(5)
    with pytest.raises(FrozenInstanceError):
        bench.events[0].name = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Closed().streak = 4  # type: ignore[misc]


def test_a_long_broken_upstream_does_not_overflow_the_wait() -> None:
    bench = Bench()
    bench.fail(5)
    for _ in range(2000):
        bench.now += 60
        bench.fail()
    assert bench.rejection().retry_after == 60.0


def test_the_window_keeps_no_more_than_its_seconds() -> None:
    state = Closed()
    for second in range(500):
        state = state.record(second % 3 == 0, second % 2 == 0, float(second), BreakerPolicy())
    assert len(state.buckets) == 30
    assert state.calls == 30
    assert state.failures == 10
    assert state.slow == 15


def slow(bench: Bench, times: int = 1) -> None:
    for _ in range(times):
        bench.breaker.admit().succeed(slow=True)


def test_four_fifths_of_ten_calls_being_slow_opens_it() -> None:
    bench = Bench()
    bench.breaker.admit().succeed()
    bench.breaker.admit().succeed()
    slow(bench, 7)
    assert bench.breaker.state is BreakerState.CLOSED
    slow(bench)
    assert bench.transitions == [(BreakerState.OPEN, BreakerReason.SLOW_RATE)]


def test_fewer_than_ten_slow_calls_or_slow_calls_of_long_ago_do_not_open_it() -> None:
    bench = Bench()
    slow(bench, 9)
    bench.now += 30
    slow(bench, 9)
    assert bench.breaker.state is BreakerState.CLOSED


def test_failures_that_took_long_are_slow_calls_too() -> None:
    bench = Bench(failures_in_a_row=100, failure_rate=1.0)
    slow(bench, 5)
    for _ in range(5):
        bench.breaker.admit().fail(slow=True)
    assert bench.transitions == [(BreakerState.OPEN, BreakerReason.SLOW_RATE)]


def test_a_slow_probe_does_not_close_it() -> None:
    bench = Bench()
    bench.fail(5)
    bench.now += 5
    slow(bench)
    assert bench.transitions[-1] == (BreakerState.OPEN, BreakerReason.PROBE_SLOW)
    assert bench.rejection().retry_after == 10.0
    bench.now += 10
    bench.breaker.admit().succeed()
    assert bench.breaker.state is BreakerState.CLOSED

from hypothesis import given
from hypothesis import strategies as st

from chammal_kit.retry_budget import RetryBudget, RetryBudgetPolicy

POLICY = RetryBudgetPolicy()


class Bench:
    def __init__(self, policy: RetryBudgetPolicy = POLICY) -> None:
        self.now = 1000.0
        self.budget = RetryBudget(policy, clock=lambda: self.now)

    def sent(self, calls: int) -> None:
        for _ in range(calls):
            self.budget.sent()

    def taken(self, asked: int) -> int:
        return sum(self.budget.take() for _ in range(asked))


def test_a_quiet_service_may_try_again_a_few_times() -> None:
    bench = Bench()
    assert bench.taken(100) == 3
    bench.now += 10
    assert bench.taken(100) == 3


def test_a_busy_one_a_tenth_of_the_time() -> None:
    bench = Bench()
    bench.sent(1000)
    assert bench.taken(1000) == 100
    bench.now += 9
    assert bench.taken(1) == 0


def test_calls_of_long_ago_earn_nothing() -> None:
    bench = Bench()
    bench.sent(1000)
    bench.now += 10
    assert bench.taken(1000) == 3


def test_it_remembers_no_more_than_its_window() -> None:
    bench = Bench()
    for _ in range(500):
        bench.now += 1
        bench.sent(2)
        bench.taken(2)
    assert len(bench.budget._buckets) == 10


steps = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.floats(0, 12)), max_size=60)


@given(steps)
def test_in_all_there_are_never_more_than_a_tenth_and_the_floor_of_each_window(
    history: list[tuple[int, int, float]],
) -> None:
    bench = Bench()
    calls = taken = 0
    began = bench.now
    for sending, asked, wait in history:
        bench.sent(sending)
        calls += sending
        taken += bench.taken(asked)
        bench.now += wait
    windows = int((bench.now - began) // POLICY.seconds) + 2
    assert taken <= POLICY.share * calls + POLICY.floor * windows

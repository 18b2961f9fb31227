from collections.abc import Iterator

import pytest

from chammal_contracts.errors import ErrorCode
from chammal_kit.deadline import Deadline, set_deadline
from chammal_kit.limiter import Limiter, LimitPolicy, Permit, ShedReason
from chammal_kit.problems import Problem


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def no_deadline() -> Iterator[None]:
    set_deadline(None)
    yield
    set_deadline(None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter(clock: Clock, **policy: float) -> Limiter:
    return Limiter("stt", LimitPolicy.model_validate({"least": 2, "start": 8, "most": 32, **policy}), clock=clock)


def fill(subject: Limiter) -> list[Permit]:
    return [subject.admit() for _ in range(subject.limit - subject.in_flight)]


def refused(subject: Limiter) -> Problem:
    with pytest.raises(Problem) as caught:
        subject.admit()
    return caught.value


def interval(subject: Limiter, clock: Clock, wait: float) -> None:
    """One in which so much was waited, by what came after the last change."""
    clock.now += max(1.0, wait) + 0.001
    for _ in range(3):
        subject.waited(wait)


def test_so_many_are_let_in_and_the_next_is_refused_at_once(clock: Clock) -> None:
    subject = limiter(clock)
    permits = fill(subject)
    problem = refused(subject)
    assert (problem.status, problem.code) == (503, ErrorCode.OVERLOADED)
    assert int(problem.headers["Retry-After"]) >= 1
    permits[0].leave()
    with subject.admit():
        assert subject.in_flight == 8
    assert subject.in_flight == 7


def test_a_place_is_given_back_once_however_often_it_is_left(clock: Clock) -> None:
    subject = limiter(clock)
    with subject.admit() as permit:
        permit.leave()
        permit.leave()
    assert subject.in_flight == 0


def test_it_shrinks_by_how_much_the_wait_is_too_long(clock: Clock) -> None:
    subject = limiter(clock)
    fill(subject)
    interval(subject, clock, 2.5)
    assert subject.limit == 6
    interval(subject, clock, 100.0)
    assert subject.limit == 3


def test_it_never_shrinks_below_what_keeps_the_model_busy(clock: Clock) -> None:
    subject = limiter(clock, least=5)
    for _ in range(5):
        interval(subject, clock, 50.0)
    assert subject.limit == 5


def test_it_grows_while_it_is_reached_and_the_wait_is_short(clock: Clock) -> None:
    subject = limiter(clock)
    interval(subject, clock, 0.1)
    assert subject.limit == 8
    limits = []
    for _ in range(12):
        fill(subject)
        interval(subject, clock, 0.1)
        limits.append(subject.limit)
    assert limits[:2] == [9, 10]
    assert limits[-1] == 32


def test_it_stays_where_the_wait_is_about_right(clock: Clock) -> None:
    subject = limiter(clock)
    fill(subject)
    interval(subject, clock, 1.8)
    assert subject.limit == 8


def test_a_few_that_overtake_or_fall_behind_do_not_move_it(clock: Clock) -> None:
    subject = limiter(clock)
    fill(subject)
    clock.now += 1.001
    for wait in (30.0, 0.0, 1.8):
        subject.waited(wait)
    assert subject.limit == 8


def test_who_gives_up_after_too_long_counts_and_who_leaves_early_does_not(clock: Clock) -> None:
    subject = limiter(clock)
    clock.now += 10.001
    for _ in range(3):
        subject.waited(1.9, taken=False)
    assert subject.limit == 8
    for _ in range(3):
        subject.waited(4.0, taken=False)
    assert subject.limit == 4


def test_what_waited_in_the_longer_queue_of_before_does_not_shrink_it_again(clock: Clock) -> None:
    subject = limiter(clock)
    interval(subject, clock, 3.0)
    assert subject.limit == 5
    clock.now += 2.0
    for _ in range(9):
        subject.waited(3.0)
    assert subject.limit == 5


def test_changes_are_an_interval_apart(clock: Clock) -> None:
    subject = limiter(clock, wait_seconds=0.1)
    for _ in range(100):
        clock.now += 0.009
        subject.waited(0.2)
    assert subject.limit == 8
    for _ in range(100):
        clock.now += 0.009
        subject.waited(0.2)
    assert subject.limit == 4


def drain(subject: Limiter, clock: Clock, seconds: int, each: float) -> None:
    """Full all the time, one done after another."""
    permits = fill(subject)
    for _ in range(round(seconds / each)):
        clock.now += each
        permits.pop(0).leave()
        permits += fill(subject)


def test_retry_after_is_what_it_takes_to_do_what_is_there(clock: Clock) -> None:
    subject = limiter(clock)
    drain(subject, clock, 30, 0.5)
    assert subject.drain_rate == pytest.approx(2.0)
    assert refused(subject).headers["Retry-After"] == "4"


def test_the_drain_rate_is_learned_where_batches_end_together(clock: Clock) -> None:
    subject = limiter(clock, least=8)
    for _ in range(10):
        permits = fill(subject)
        refused(subject)
        clock.now += 2.0
        for permit in permits:
            permit.leave()
    assert subject.drain_rate == pytest.approx(4.0, rel=0.2)


def test_the_drain_rate_is_not_learned_while_there_is_little_to_do(clock: Clock) -> None:
    subject = limiter(clock)
    for _ in range(10):
        with subject.admit():
            clock.now += 5.0
    assert subject.drain_rate is None


def test_what_cannot_be_done_before_the_deadline_is_refused_at_once(clock: Clock) -> None:
    reasons: list[ShedReason] = []
    subject = Limiter("stt", LimitPolicy(least=2, start=8), clock=clock, on_shed=reasons.append)
    drain(subject, clock, 30, 0.5)
    for _ in range(2):
        subject.left(done=True)
    set_deadline(Deadline.after(1.0))
    assert refused(subject).code is ErrorCode.OVERLOADED
    assert reasons == [ShedReason.TOO_LATE]
    set_deadline(Deadline.after(30.0))
    subject.admit()
    assert subject.in_flight == 7


def test_a_near_deadline_is_no_reason_while_there_is_little_to_do(clock: Clock) -> None:
    subject = limiter(clock)
    drain(subject, clock, 30, 0.5)
    for _ in range(7):
        subject.left(done=True)
    set_deadline(Deadline.after(0.01))
    subject.admit()


def test_what_stands_aside_makes_room_and_comes_back_unasked(clock: Clock) -> None:
    subject = limiter(clock)
    permits = fill(subject)
    permits[0].stand_aside()
    subject.admit()
    permits[0].enter()
    assert subject.in_flight == 9
    refused(subject)
    permits[0].leave()
    assert subject.in_flight == 8


def test_ten_times_too_much_settles_where_the_wait_is_right(clock: Clock) -> None:
    """A queue of one server that does 4 a second, simulated: the limit finds 2 s of work, and nothing is idle."""
    subject = limiter(clock, least=1, start=30)
    queue: list[tuple[float, Permit]] = []
    done, waits = 0, []
    for _ in range(400):
        clock.now += 0.25
        if queue:
            came, permit = queue.pop(0)
            subject.waited(clock.now - came)
            waits.append(clock.now - came)
            permit.leave()
            done += 1
        for _ in range(10):
            try:
                queue.append((clock.now, subject.admit()))
            except Problem:
                continue
    assert done >= 395
    late = sorted(waits[-100:])
    assert 1.0 <= late[50] <= 2.5

import pytest

from chammal_contracts.errors import ErrorCode
from chammal_kit.deadline import Deadline
from chammal_kit.problems import Problem
from chammal_stt.pace import Pace


def refused(pace: Pace, model: str, spoken: float, within: float) -> bool:
    try:
        pace.check(model, spoken, Deadline.after(within))
    except Problem as problem:
        return (problem.status, problem.code) == (504, ErrorCode.DEADLINE_EXCEEDED)
    return False


def test_what_cannot_be_read_before_the_deadline_is_refused_before_it_is_begun() -> None:
    pace = Pace()
    pace.learn("base", 600, 60)
    assert refused(pace, "base", 3600, within=300)
    assert not refused(pace, "base", 3600, within=420)
    assert not refused(pace, "small", 3600, within=1)
    pace.check("base", 3600, None)


@pytest.mark.parametrize("spoken", [10.0, 59.0])
def test_short_recordings_tell_nothing_and_are_never_refused(spoken: float) -> None:
    pace = Pace()
    pace.learn("base", spoken, 100)
    assert not refused(pace, "base", 3600, within=1)
    pace.learn("base", 600, 6000)
    assert not refused(pace, "base", spoken, within=0.1)


def test_the_best_pace_counts_and_is_forgotten_slowly() -> None:
    pace = Pace()
    pace.learn("base", 100, 10)
    pace.learn("base", 100, 50)
    assert not refused(pace, "base", 1000, within=110)
    for _ in range(60):
        pace.learn("base", 100, 50)
    assert refused(pace, "base", 1000, within=400)

import pytest

from chammal_kit.deadline import Deadline


def test_a_deadline_travels_as_remaining_seconds() -> None:
    assert 4.9 < float(Deadline.after(5).header()) <= 5.0


def test_remaining_time_never_falls_below_zero() -> None:
    assert Deadline.after(-3).remaining() == 0.0
    assert Deadline.after(-3).expired


@pytest.mark.parametrize("value", ["", "nan", "inf", "-inf", "1 second"])
def test_what_is_no_finite_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        Deadline.from_header(value)

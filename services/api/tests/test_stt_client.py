from chammal_api.clients.stt import patience
from chammal_kit.upstream import Timeouts

LONGEST = Timeouts(connect=1, first_byte=1800, idle=60, total=1800)


def test_a_short_recording_is_not_waited_for_as_long_as_a_long_one() -> None:
    assert patience(LONGEST, 160_000).total == 140


def test_no_recording_is_waited_for_longer_than_the_setting() -> None:
    assert patience(LONGEST, 1 << 30) == LONGEST


def test_an_upload_of_unknown_size_gets_all_the_time() -> None:
    assert patience(LONGEST, None) == LONGEST


def test_a_setting_below_the_usual_patience_holds() -> None:
    assert patience(Timeouts(total=20), 160_000).total == 20

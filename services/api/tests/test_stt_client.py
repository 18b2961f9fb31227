from chammal_api.clients.stt import patience
from chammal_api.settings import ApiSettings
from chammal_kit.upstream import Timeouts

LONGEST = Timeouts(connect=1, first_byte=15_000, idle=60, total=15_000)


def test_a_short_recording_is_not_waited_for_as_long_as_a_long_one() -> None:
    assert patience(LONGEST, 160_000).total == 140


def test_no_recording_is_waited_for_longer_than_the_setting() -> None:
    assert patience(LONGEST, 1 << 30) == LONGEST


def test_an_upload_of_unknown_size_gets_all_the_time() -> None:
    assert patience(LONGEST, None) == LONGEST


def test_six_hours_get_all_the_time_that_the_recogniser_takes_for_them() -> None:
    longest = ApiSettings().stt_seconds
    recogniser_takes = 14_400
    assert longest > recogniser_takes
    for size in (60_000_000, 700_000_000):
        assert patience(LONGEST.model_copy(update={"total": longest}), size).total == longest


def test_a_setting_below_the_usual_patience_holds() -> None:
    assert patience(Timeouts(total=20), 160_000).total == 20

"""What must have been heard by now."""

from chammal_api.realtime.playback import Playback


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_audio_that_came_faster_than_it_plays_is_heard_by_the_clock() -> None:
    clock = Clock()
    playback = Playback(clock)
    assert (playback.heard_ms, playback.audible) == (0, False)
    playback.sent(2000)
    playback.sent(1000)
    clock.time += 0.5
    assert (round(playback.heard_ms), playback.audible) == (500, True)
    clock.time += 10
    assert (round(playback.heard_ms), playback.audible) == (3000, False)


def test_a_pause_without_audio_is_not_heard() -> None:
    clock = Clock()
    playback = Playback(clock)
    playback.sent(1000)
    clock.time += 5
    playback.sent(1000)
    clock.time += 0.25
    assert round(playback.heard_ms) == 1250

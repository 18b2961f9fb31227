import pytest

from chammal_contracts.live import EndReason
from chammal_stt.live.endpoint import Ended, Endpointer, EndpointRules, Paused, Resumed, Started, Turn

RULES = EndpointRules(silence=20, early=8, preroll=10, least=3, longest=200)


def play(endpointer: Endpointer, *parts: tuple[int, float], level: float = -20.0) -> list[Turn]:
    """Frames of one probability after another; what is quiet is silent."""
    turns: list[Turn] = []
    for count, probability in parts:
        for _ in range(count):
            turns += endpointer.hear(probability, level if probability > 0.3 else -80.0)
    return turns


def test_an_utterance_reaches_back_before_its_onset_and_ends_with_the_silence_that_is_asked_for() -> None:
    assert play(Endpointer(RULES), (30, 0.0), (40, 0.9), (20, 0.0)) == [
        Started(first=20, onset=30),
        Paused(end=78),
        Ended(speech_end=70, end=78, heard=90, reason=EndReason.SILENCE),
    ]


def test_the_first_utterance_cannot_reach_back_before_the_stream() -> None:
    assert play(Endpointer(RULES), (5, 0.9))[0] == Started(first=0, onset=0)


def test_an_utterance_does_not_reach_back_into_the_one_before() -> None:
    turns = play(Endpointer(RULES), (10, 0.9), (20, 0.0), (10, 0.9), (20, 0.0))
    first_end = next(turn.end for turn in turns if isinstance(turn, Ended))
    second = [turn for turn in turns if isinstance(turn, Started)][1]
    assert second.first >= first_end


def test_a_click_is_no_utterance() -> None:
    assert play(Endpointer(RULES), (10, 0.0), (2, 0.9), (10, 0.0), (2, 0.9), (50, 0.0)) == []


def test_a_voice_that_fades_below_the_beginning_of_speech_is_still_a_voice() -> None:
    turns = play(Endpointer(RULES), (10, 0.9), (30, 0.4), (20, 0.0))
    assert isinstance(turns[-1], Ended)
    assert turns[-1].speech_end == 40


def test_silence_that_was_no_end_is_taken_back() -> None:
    turns = play(Endpointer(RULES), (10, 0.9), (10, 0.0), (10, 0.9))
    assert turns[1:] == [Paused(end=18), Resumed()]


def test_a_murmur_after_a_pause_does_not_resume() -> None:
    turns = play(Endpointer(RULES), (10, 0.9), (10, 0.0), (10, 0.4))
    assert isinstance(turns[-1], Ended)


def test_stopping_ends_what_is_under_way_and_nothing_else() -> None:
    endpointer = Endpointer(RULES)
    assert endpointer.stop(EndReason.COMMIT) == []
    play(endpointer, (10, 0.9), (2, 0.0))
    assert endpointer.stop(EndReason.COMMIT) == [Ended(speech_end=10, end=12, heard=12, reason=EndReason.COMMIT)]
    assert endpointer.stop(EndReason.COMMIT) == []


def test_endless_speech_is_cut_at_its_quietest_point_and_goes_on_from_there() -> None:
    endpointer = Endpointer(RULES)
    turns = play(endpointer, (170, 0.9))
    turns += [turn for _ in range(6) for turn in endpointer.hear(0.9, -50.0)]
    turns += play(endpointer, (30, 0.9))
    ended, started = turns[1:]
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.TOO_LONG
    assert ended.end in range(170, 176)
    assert started == Started(first=ended.end, onset=ended.end)


@pytest.mark.parametrize("probability", [0.9, 0.36])
def test_every_frame_of_endless_speech_is_in_exactly_one_utterance(probability: float) -> None:
    turns = play(Endpointer(RULES), (5, 0.9), (2000, probability))
    bounds = [turn.first if isinstance(turn, Started) else turn.end for turn in turns if not isinstance(turn, Paused)]
    assert bounds[0] == 0
    assert bounds[1:-1:2] == bounds[2::2]
    assert all(end - first <= RULES.longest for first, end in zip(bounds[::2], bounds[1::2], strict=False))


def test_an_utterance_that_is_cut_in_its_last_silence_is_over() -> None:
    rules = EndpointRules(silence=60, early=8, preroll=0, least=3, longest=60)
    turns = play(Endpointer(rules), (30, 0.9), (100, 0.0))
    assert [type(turn) for turn in turns] == [Started, Paused, Ended]

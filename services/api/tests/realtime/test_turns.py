from chammal_api.realtime.clauses import Ending
from chammal_api.realtime.turns import Patience, TurnDetector
from chammal_contracts.live import EndReason

PATIENCE = Patience(open_seconds=2.0, doubtful_seconds=0.5)


def detector() -> TurnDetector:
    return TurnDetector(PATIENCE)


def test_a_whole_sentence_is_a_turn_at_once() -> None:
    turns = detector()
    turns.started(1)
    assert turns.final(1, "예약하고 싶어요.", "ko") == 0.0
    turn = turns.take()
    assert turn is not None
    assert (turn.utterances, turn.text, turn.ending) == ((1,), "예약하고 싶어요.", Ending.WHOLE)


def test_an_unfinished_clause_waits_and_what_follows_joins_it() -> None:
    turns = detector()
    turns.started(1)
    assert turns.final(1, "어제 예약을 했는데", "ko") == 2.0
    turns.started(2)
    assert turns.wait() is None
    assert turns.take() is None
    assert turns.final(2, "취소하고 싶어요.", "ko") == 0.0
    turn = turns.take()
    assert turn is not None
    assert turn.utterances == (1, 2)
    assert turn.text == "어제 예약을 했는데 취소하고 싶어요."


def test_nobody_waits_longer_than_patience_says() -> None:
    turns = detector()
    turns.started(1)
    assert turns.final(1, "I went there and", "en") == 2.0
    turn = turns.take()
    assert turn is not None
    assert turn.ending is Ending.OPEN
    assert turns.take() is None


def test_what_may_go_on_waits_a_little() -> None:
    turns = detector()
    turns.started(1)
    assert turns.final(1, "신청했는데요.", "ko") == 0.5


def test_a_speaker_who_says_that_it_is_over_is_believed() -> None:
    turns = detector()
    turns.started(1)
    assert turns.final(1, "어제 예약을 했는데", "ko", EndReason.COMMIT) == 0.0


def test_an_utterance_without_text_is_no_turn() -> None:
    turns = detector()
    turns.started(1)
    assert turns.final(1, " ", "ko") is None
    assert turns.take() is None


def test_noise_after_a_sentence_does_not_hold_it_back() -> None:
    turns = detector()
    turns.started(1)
    turns.started(2)
    assert turns.final(1, "그래요.", "ko") is None
    assert turns.final(2, "", "ko") == 0.0
    turn = turns.take()
    assert turn is not None
    assert turn.utterances == (1,)


def test_finals_out_of_order_are_a_turn_in_order() -> None:
    turns = detector()
    turns.started(1)
    turns.started(2)
    assert turns.final(2, "가요.", "ko") is None
    assert turns.final(1, "집에", "ko") == 0.0
    turn = turns.take()
    assert turn is not None
    assert turn.text == "집에 가요."


def test_a_lost_utterance_does_not_hold_back_what_was_said_before_it() -> None:
    turns = detector()
    turns.started(1)
    turns.final(1, "어제 예약을 했는데", "ko")
    turns.started(2)
    assert turns.lost(2) == 2.0
    assert turns.take() is not None


def test_stt_that_is_cut_off_leaves_what_has_its_text() -> None:
    turns = detector()
    turns.started(1)
    turns.final(1, "그래요.", "ko")
    turns.started(2)
    turns.started(3)
    assert turns.cut_off() == 0.0
    assert turns.take() is not None


def test_what_is_forgotten_is_no_turn() -> None:
    turns = detector()
    turns.started(1)
    turns.final(1, "그래요.", "ko")
    turns.started(2)
    turns.forget()
    assert turns.wait() is None
    assert turns.take() is None

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from bench.conversation import endings
from bench.conversation.barge_in import BargeIn
from bench.conversation.document import Figures, write
from bench.conversation.idle import Idle
from bench.conversation.overhead import Overhead, first_piece_at
from bench.conversation.replies import ENGLISH, KOREAN, pieces, reply_to
from bench.conversation.said import Said, speak
from bench.conversation.turns import Turn
from bench.stt.audio import Clip, write_wave

from chammal_api.realtime.clauses import Ending

RATE = 16_000


@pytest.mark.parametrize("reply", [*KOREAN, *ENGLISH])
def test_a_reply_has_three_sentences_or_more_and_its_tokens_are_all_of_it(reply: str) -> None:
    assert "".join(pieces(reply)) == reply
    assert sum(reply.count(mark) for mark in ".?!") >= 3


def test_the_same_words_get_the_same_reply_in_their_language() -> None:
    assert reply_to("주차 되나요?") == reply_to("주차 되나요?")
    assert reply_to("주차 되나요?") in KOREAN
    assert reply_to("Hello") in ENGLISH


def test_the_language_model_took_until_the_token_that_ends_the_first_piece() -> None:
    reply = "오늘은 엽니다. 내일은 쉽니다."
    given = [(float(number), letters) for number, letters in enumerate(accumulate(map(len, pieces(reply))))]
    ends = next(at for at, letters in given if letters >= len("오늘은 엽니다."))
    assert first_piece_at({"text": reply, "given": given}) == ends


def test_what_is_added_is_what_no_stage_took() -> None:
    assert Overhead(1.0, 0.1, 0.0, 0.5, 0.25, 0.1).added == pytest.approx(0.15)


def test_what_is_said_ends_with_its_last_sound(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    tone = (8000 * np.sin(np.arange(RATE) / 5)).astype(np.int16)
    write_wave(path, np.concatenate([np.zeros(RATE, np.int16), tone, np.zeros(RATE, np.int16)]))
    samples = Said(Clip("said", path, 3.0, "ko", "")).samples(RATE)
    assert abs(len(samples) - RATE) <= 0.04 * RATE


def test_silence_follows_what_is_said_until_it_is_over() -> None:
    sent: list[bytes] = []
    samples = np.ones(round(0.05 * RATE), np.int16)
    speak(samples, RATE, sent.append, lambda: len(sent) == 5)
    assert b"".join(sent) == samples.tobytes() + bytes(len(sent) * 640 - samples.nbytes)


def test_sentences_are_those_of_the_calls_without_their_labels(tmp_path: Path) -> None:
    path = tmp_path / "calls.yaml"
    path.write_text(
        "- said: |\n    A: 네, 안녕하세요. 무엇을 도와드릴까요? {TM-01}\n    C: 해지요.\n", encoding="utf-8"
    )
    assert list(endings.sentences_of(path)) == ["네, 안녕하세요.", "무엇을 도와드릴까요?", "해지요."]


def test_the_page_has_every_measure_and_says_which_were_not_taken() -> None:
    figures = Figures("a machine", [Clip("one", Path("one"), 3.0, "ko", "")], others=[0.1])
    figures.endings = [endings.Read("whole", 2, dict.fromkeys(Ending, 0.5))]
    assert write(figures).count("Not measured.") == 5
    parts = {"silence": 0.5, "first_out": 1.8}
    figures.turns = {
        "Chammal": [Turn("one", 2.0, parts, silence_until=0.6)],
        "one after another": [Turn("one", 6.0)],
        "pipecat 1.14.0": [Turn("one", float("nan"))],
    }
    figures.overheads = [Overhead(1.0, 0.1, 0.0, 0.5, 0.38, 0.01)]
    figures.barge_ins = [BargeIn(0.3, 0.0, 0.01, 0.02, answered=True)]
    figures.idle = Idle(0.01, 0.02, 0.3)
    text = write(figures)
    assert "Not measured." not in text
    assert "first audio, one after another ÷ ours: 3 (bar ≥ 2): **met**" in text
    assert "pipecat 1.14.0 | 0 of 1" in text
    assert "added by orchestration, median, ms: 20 (bar ≤ 30): **met**" in text
    assert "20 idle sessions, % of a core: 1 (bar ≤ 5): **met**" in text

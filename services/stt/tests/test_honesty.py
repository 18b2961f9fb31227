from dataclasses import replace

import numpy as np
import pytest

from chammal_contracts.asr import SuspectReason
from chammal_stt.honesty import confidence, examine
from chammal_stt.messages import RecognisedSegment, RecognisedWord
from chammal_stt.pieces import FRAMES_A_SECOND, Probabilities

SECONDS = 20


def said(start: float, end: float, text: str, **scores: float) -> RecognisedSegment:
    segment = RecognisedSegment(start, end, text, [7, 8], 0.0, -0.6, 1.2, 0.55)
    return replace(segment, **scores)  # type: ignore[arg-type]


def speech(*spans: tuple[float, float]) -> Probabilities:
    heard = np.zeros(int(SECONDS * FRAMES_A_SECOND), np.uint8)
    for start, end in spans:
        heard[int(start * FRAMES_A_SECOND) : int(end * FRAMES_A_SECOND)] = 230
    return heard


def test_text_over_speech_is_kept_as_it_is() -> None:
    segments = [said(0, 3, " 안녕하세요."), said(3, 6, " 적금 문의드립니다.")]
    examined = examine(segments, speech((0.2, 5.8)), "ko")
    assert examined.kept == segments
    assert examined.suspect == []


def test_text_over_silence_is_dropped_and_told() -> None:
    examined = examine([said(8, 12, " 이곳은")], speech((0, 2)), "ko", speaker="agent")
    assert examined.kept == []
    [suspect, skipped] = sorted(examined.suspect, key=lambda suspect: -suspect.start)
    assert (suspect.reason, suspect.dropped, suspect.text) == (SuspectReason.SILENCE, True, "이곳은")
    assert (suspect.start, suspect.end, suspect.speaker) == (8, 12, "agent")
    assert skipped.reason is SuspectReason.SKIPPED


def test_text_beside_speech_that_nobody_wrote_down_is_kept() -> None:
    segment = said(4, 6, " 보통 주차 시간이 따로 있나요?")
    examined = examine([segment], speech((9, 12)), "ko")
    assert examined.kept == [segment]
    assert examined.suspect == []


def test_text_that_the_model_is_sure_of_is_kept_against_the_voice_detector() -> None:
    segment = said(4, 6, " 학생증 있어요.", avg_logprob=-0.3, no_speech_prob=0.1)
    examined = examine([segment], speech(), "ko")
    assert examined.kept == [segment]
    assert [(s.reason, s.dropped) for s in examined.suspect] == [(SuspectReason.SILENCE, False)]


def test_faint_noise_is_no_speech() -> None:
    noise = np.full(300, 30, np.uint8)
    noise[100:103] = 104
    assert examine([said(2, 4, " 자")], noise, "ko").kept == []


@pytest.mark.parametrize("text", [" ♪", " ❤️", "...", " [음악]", " (박수)", " *sighs*"])
def test_symbols_are_no_text(text: str) -> None:
    examined = examine([said(0, 3, text)], speech((0, 3)), "ko")
    assert examined.kept == []
    assert [(s.reason, s.text) for s in examined.suspect] == [(SuspectReason.PHANTOM, text.strip())]


def test_a_known_phantom_over_little_speech_is_dropped() -> None:
    examined = examine([said(2, 4, " 시청해 주셔서 감사합니다.")], speech((2, 2.2)), "ko")
    assert examined.kept == []
    assert [(s.reason, s.dropped) for s in examined.suspect] == [(SuspectReason.PHANTOM, True)]


def test_a_known_phantom_that_the_model_doubts_itself_is_dropped() -> None:
    examined = examine([said(2, 4, " Thank you for watching.", avg_logprob=-1.3)], speech((2, 4)), "en")
    assert (examined.kept, examined.suspect[0].reason) == ([], SuspectReason.PHANTOM)


def test_a_known_phantom_over_real_speech_is_kept_and_doubted() -> None:
    segment = said(2, 4, " 시청해 주셔서 감사합니다.")
    examined = examine([segment], speech((2, 4)), "ko")
    assert examined.kept == [segment]
    assert [(s.reason, s.dropped) for s in examined.suspect] == [(SuspectReason.PHANTOM, False)]


def test_thanks_over_speech_are_believed() -> None:
    examined = examine([said(2, 3, " 감사합니다.")], speech((2, 3)), "ko")
    assert (len(examined.kept), examined.suspect) == (1, [])


def test_unsure_text_that_the_model_holds_for_silence_is_dropped_over_little_speech() -> None:
    scores = {"no_speech_prob": 0.7, "avg_logprob": -0.9}
    examined = examine([said(2, 4, " 가장", **scores)], speech((2, 2.5)), "ko")
    assert (examined.kept, examined.suspect[0].reason) == ([], SuspectReason.NO_SPEECH)
    assert len(examine([said(2, 4, " 가장 가까운 역", **scores)], speech((2, 4)), "ko").kept) == 1
    assert len(examine([said(2, 4, " 가장", no_speech_prob=0.71)], speech((2, 2.5)), "ko").kept) == 1


def test_a_loop_is_cut_to_its_first_time_and_its_words_with_it() -> None:
    words = [
        RecognisedWord(f" {word}", n, n + 1, 0.9)
        for n, word in enumerate(["네", "이", "영상은", "이", "영상은", "이", "영상은", "끝"])
    ]
    segment = replace(said(0, 8, " 네 이 영상은 이 영상은 이 영상은 끝"), words=words)
    examined = examine([segment], speech((0, 8)), "ko")
    [kept] = examined.kept
    assert kept.text == " 네 이 영상은 끝"
    assert kept.words is not None
    assert "".join(word.word for word in kept.words) == kept.text
    assert kept.tokens == []
    [suspect] = examined.suspect
    assert (suspect.reason, suspect.dropped, suspect.text) == (SuspectReason.REPETITION, True, segment.text.strip())
    assert "'이 영상은' 3 times" in suspect.detail


def test_a_loop_over_little_speech_is_dropped() -> None:
    examined = examine([said(0, 8, " 자, 자, 자, 자, 자, 자")], speech((3, 3.5)), "ko")
    assert (examined.kept, examined.suspect[0].reason) == ([], SuspectReason.REPETITION)


@pytest.mark.parametrize("text", [" 네, 네, 네", " 네, 네, 네, 네, 네.", " No, no, no, no."])
def test_people_who_repeat_a_short_word_are_believed(text: str) -> None:
    segment = said(0, 3, text)
    examined = examine([segment], speech((0, 3)), "ko")
    assert (examined.kept, examined.suspect) == ([segment], [])


def test_the_same_sentence_again_and_again_is_kept_once() -> None:
    segments = [said(n, n + 1, " 새 프로젝트를 클릭합니다.") for n in range(5)]
    examined = examine(segments, speech((0, 5)), "ko")
    assert examined.kept == segments[:1]
    assert [(s.reason, s.start) for s in examined.suspect] == [(SuspectReason.REPETITION, n) for n in range(1, 5)]


def test_answers_may_be_the_same() -> None:
    segments = [said(n * 2, n * 2 + 1, " 네.") for n in range(9)]
    examined = examine(segments, speech(*((n * 2, n * 2 + 1) for n in range(9))), "ko")
    assert (examined.kept, examined.suspect) == (segments, [])


def test_text_that_only_squeezes_well_is_kept_and_doubted() -> None:
    segment = said(0, 3, " 가나다라", compression_ratio=2.6)
    examined = examine([segment], speech((0, 3)), "ko")
    assert examined.kept == [segment]
    assert [(s.reason, s.dropped) for s in examined.suspect] == [(SuspectReason.REPETITION, False)]


def test_unsure_text_is_kept_and_doubted() -> None:
    segment = said(0, 3, " 인테라스텡도 된다요.", avg_logprob=-1.53)
    examined = examine([segment], speech((0, 3)), "ko")
    assert examined.kept == [segment]
    assert [(s.reason, s.dropped) for s in examined.suspect] == [(SuspectReason.LOW_CONFIDENCE, False)]


def test_speech_without_text_is_told() -> None:
    examined = examine([said(0, 3, " 네.")], speech((0, 3), (6, 6.8), (7.2, 8), (15, 15.5)), "ko", speaker="customer")
    [suspect] = examined.suspect
    assert (suspect.reason, suspect.dropped, suspect.text) == (SuspectReason.SKIPPED, False, "")
    assert (suspect.start, suspect.end) == pytest.approx((6, 8), abs=0.05)
    assert suspect.speaker == "customer"


def test_nothing_comes_from_nothing() -> None:
    examined = examine([said(0, 1, "  ")], speech(), None)
    assert (examined.kept, examined.suspect) == ([], [])
    assert examine([], np.zeros(0, np.uint8), None).suspect == []


@pytest.mark.parametrize(("logprob", "told"), [(0.0, 1.0), (0.2, 1.0), (-0.5, 0.607), (float("nan"), 0.0), (-1e9, 0.0)])
def test_confidence_is_a_probability(logprob: float, told: float) -> None:
    assert confidence(said(0, 1, "", avg_logprob=logprob)) == pytest.approx(told, abs=1e-3)

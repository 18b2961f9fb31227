"""Replaces the digits of numbers that belong to persons by `*`, one for one, so that every offset still holds.

Masked: resident and foreigner registration numbers, payment cards, bank accounts, telephones that may be a person's
(mobile, landline, internet, safe numbers). In digits, in syllables (공일공 일이삼사 …), or broken by a recogniser.
Kept: amounts, dates, rates, terms, numbers of policies; firms' telephones (1588-…, 080-…, 1332), which a check may
quote.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chammal_api.calls.digit_runs import digit_runs
from chammal_api.calls.personal_numbers import AFTER, BEFORE, SHORTEST, Around, Look, NumberKind, find_numbers
from chammal_contracts.calls import CallTranscript
from chammal_contracts.checks import Utterance

MASK = "*"


@dataclass(frozen=True)
class Span:
    start: int
    end: int
    kind: NumberKind


@dataclass(frozen=True)
class Masked:
    text: str
    """As long as what it was made from."""
    spans: tuple[Span, ...] = ()

    @property
    def count(self) -> int:
        return len(self.spans)


def mask(text: str) -> Masked:
    def look(first: int, last: int) -> Around:
        return Around(text[max(0, first - BEFORE) : first], text[last + 1 : last + 1 + AFTER])

    return _mask(text, look)


def mask_pieces(pieces: Sequence[str], speakers: Sequence[str | None]) -> tuple[list[str], int]:
    """What is said in turn. A number may go over several pieces of one speaker; the words that tell what it is may be
    another's: 계좌번호 불러 주세요."""
    heard = _Heard(pieces)
    masked = list(pieces)
    count = 0
    for speaker in dict.fromkeys(speakers):
        theirs = [n for n, who in enumerate(speakers) if who == speaker]
        starts = _starts(pieces[n] for n in theirs)
        found = _mask("\n".join(pieces[n] for n in theirs), heard.look(theirs, starts))
        count += found.count
        for n, start in zip(theirs, starts, strict=True):
            masked[n] = found.text[start : start + len(pieces[n])]
    return masked, count


def mask_utterances(utterances: Sequence[Utterance]) -> tuple[list[Utterance], int]:
    texts, count = mask_pieces([u.text for u in utterances], [u.speaker for u in utterances])
    return [u.model_copy(update={"text": text}) for u, text in zip(utterances, texts, strict=True)], count


def mask_transcript(transcript: CallTranscript) -> CallTranscript:
    """Utterances, words and doubted text alike."""
    utterances, count = mask_utterances(transcript.utterances)
    words = transcript.words
    if words is not None:
        texts, _ = mask_pieces([w.word for w in words], [w.speaker for w in words])
        words = [word.model_copy(update={"word": text}) for word, text in zip(words, texts, strict=True)]
    suspect = [doubted.model_copy(update={"text": mask(doubted.text).text}) for doubted in transcript.suspect]
    masked = {"utterances": utterances, "words": words, "suspect": suspect, "masked": transcript.masked + count}
    return transcript.model_copy(update=masked)


def _mask(text: str, look: Look) -> Masked:
    """Until there is no more to be found: what is masked already parts what stands beside it."""
    spans: list[Span] = []
    while found := _spans(text, look):
        characters = list(text)
        for span, places in found:
            spans.append(span)
            for place in places:
                characters[place] = MASK
        text = "".join(characters)
    return Masked(text, tuple(sorted(spans, key=lambda span: span.start)))


def _spans(text: str, look: Look) -> list[tuple[Span, tuple[int, ...]]]:
    spans = []
    for run in digit_runs(text, SHORTEST):
        for start, end, kind in find_numbers(run, look):
            places = run.places[start:end]
            spans.append((Span(places[0], places[-1] + 1, kind), places))
    return spans


class _Heard:
    """All that was said, in turn, to look around in."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._text = "\n".join(pieces)
        self._starts = _starts(pieces)

    def look(self, theirs: Sequence[int], starts: Sequence[int]) -> Look:
        """For places in the pieces of one speaker, joined."""

        def place_of(place: int) -> int:
            n = bisect_right(starts, place) - 1
            return self._starts[theirs[n]] + place - starts[n]

        def look(first: int, last: int) -> Around:
            begin, end = place_of(first), place_of(last) + 1
            return Around(self._text[max(0, begin - BEFORE) : begin], self._text[end : end + AFTER])

        return look


def _starts(pieces: Iterable[str]) -> list[int]:
    """Where each begins when they are joined by one character."""
    starts, place = [], 0
    for piece in pieces:
        starts.append(place)
        place += len(piece) + 1
    return starts

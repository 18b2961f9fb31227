"""A call as one string of letters, in which every place knows its utterance and its sentence.

Recognisers cut speech where they like, so what one speaker says in a row is one text unless a sentence ends there.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chammal_api.check.evidence import Sentence, evidence_of, sentences
from chammal_api.check.phrase import SENTENCE, compile_phrase, letters_of
from chammal_contracts.checks import Evidence, Judge, Speaker, Utterance

MAX_HITS = 500
"""Of one phrase in one call; a text made to match everywhere costs no more than that."""

_TERMINATORS = tuple(".?!。？！")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Letters `start` to `end` of the call."""

    start: int
    end: int
    utterance: int
    """Number of the utterance that it begins in."""


@dataclass(frozen=True, slots=True)
class _Placed:
    start: int
    sentence: Sentence


class Spoken:
    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self.utterances = utterances
        self._starts: list[int] = []
        self._placed: list[list[_Placed]] = []
        pieces: list[str] = []
        at = 0
        for number, utterance in enumerate(utterances):
            if number and not self._goes_on(utterances[number - 1], utterance):
                pieces.append(SENTENCE)
                at += 1
            self._starts.append(at)
            placed: list[_Placed] = []
            for sentence in sentences(utterance.text):
                letters = letters_of(sentence.text)
                if placed:
                    pieces.append(SENTENCE)
                    at += 1
                placed.append(_Placed(at, sentence))
                pieces.append(letters)
                at += len(letters)
            self._placed.append(placed)
        self.letters = "".join(pieces)

    @staticmethod
    def _goes_on(before: Utterance, after: Utterance) -> bool:
        if after.speaker is Speaker.UNKNOWN or before.speaker is not after.speaker:
            return False
        return not before.text.rstrip().endswith(_TERMINATORS)

    def find(self, phrases: Iterable[str]) -> list[Span]:
        found: set[Span] = set()
        for phrase in phrases:
            compiled = compile_phrase(phrase)
            if not compiled.may_be_in(self.letters):
                continue
            for count, match in enumerate(compiled.pattern.finditer(self.letters)):
                if count >= MAX_HITS:
                    break
                if match.end() > match.start():
                    found.add(Span(match.start(), match.end(), self.utterance_at(match.start())))
        return sorted(found)

    def utterance_at(self, place: int) -> int:
        return max(0, bisect_right(self._starts, place) - 1)

    def sentence_around(self, span: Span) -> tuple[int, int]:
        end = self.letters.find(SENTENCE, span.end)
        return self.letters.rfind(SENTENCE, 0, span.start) + 1, end if end >= 0 else len(self.letters)

    def evidence(self, span: Span, rule: str) -> list[Evidence]:
        """The sentences that a hit lies in, whole, of each utterance that it reaches into."""
        last = self.utterance_at(max(span.start, span.end - 1))
        shown = []
        for number in range(span.utterance, last + 1):
            within = [p for p in self._placed[number] if p.start < span.end]
            first = max((n for n, p in enumerate(within) if p.start <= span.start), default=0)
            if not within:
                continue
            utterance = self.utterances[number]
            text = utterance.text[within[first].sentence.start : within[-1].sentence.end]
            shown.append(evidence_of(utterance, text, Judge.RULE, rule))
        return shown

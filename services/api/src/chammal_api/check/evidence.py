"""A quote counts only where code finds it, in the utterance that was named, said by whom it may be.

White space and punctuation differ between a recognised text and a quote of it, so letters and digits alone are
compared. What is shown is never the claim's wording but the transcript's, widened to whole sentences: of "원금이
보장되지 않습니다" nobody can be shown "원금이 보장".
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chammal_contracts.checks import Evidence, Judge, Speaker, Utterance

MIN_QUOTE_CHARACTERS = 4
"""A shorter quote, such as "네", would be found in almost any call and proves nothing."""

_SENTENCE_END = re.compile(r"(?<=[.?!。？！])\s+|\n+")


class Refusal(StrEnum):
    NO_QUOTE = "no_quote"
    TOO_SHORT = "too_short"
    NO_UTTERANCE = "no_utterance"
    """None was named, or none of this name is in the call."""
    NOT_FOUND = "not_found"
    WRONG_SPEAKER = "wrong_speaker"


@dataclass(frozen=True, slots=True)
class Refused:
    why: Refusal

    @property
    def reason(self) -> str:
        """For a person, in Korean as the verdicts are."""
        return _REASONS[self.why]


_REASONS = {
    Refusal.NO_QUOTE: "근거로 든 발언이 없습니다",
    Refusal.TOO_SHORT: "근거로 든 발언이 너무 짧아 아무것도 보여주지 못합니다",
    Refusal.NO_UTTERANCE: "근거로 든 발언 번호가 통화에 없습니다",
    Refusal.NOT_FOUND: "근거로 든 말이 그 발언에 없습니다",
    Refusal.WRONG_SPEAKER: "근거로 든 말을 한 사람이 이 항목에 맞지 않습니다",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A part of an utterance's text, `text[start:end]`."""

    text: str
    start: int
    end: int


def verify(
    quote: str | None,
    utterance_ids: Sequence[str],
    utterances: Mapping[str, Utterance],
    source: Judge,
    *,
    speakers: Collection[Speaker] = (),
    rule: str | None = None,
) -> Evidence | Refused:
    """The first of the named utterances that has the quote. A speaker who is unknown may be anybody.

    No `speakers`: anybody may have said it.
    """
    if not quote or not quote.strip():
        return Refused(Refusal.NO_QUOTE)
    wanted = letters(quote)
    if len(wanted) < MIN_QUOTE_CHARACTERS:
        return Refused(Refusal.TOO_SHORT)
    named = [utterances[name] for name in utterance_ids if name in utterances]
    if not named:
        return Refused(Refusal.NO_UTTERANCE)
    found = [(one, words) for one in named if (words := find(quote, one.text)) is not None]
    if not found:
        return Refused(Refusal.NOT_FOUND)
    for utterance, words in found:
        if not speakers or utterance.speaker is Speaker.UNKNOWN or utterance.speaker in speakers:
            return evidence_of(utterance, words, source, rule)
    return Refused(Refusal.WRONG_SPEAKER)


def evidence_of(utterance: Utterance, quote: str, source: Judge, rule: str | None = None) -> Evidence:
    return Evidence(
        utterance_id=utterance.id,
        speaker=utterance.speaker,
        start=utterance.start,
        end=utterance.end,
        quote=quote,
        source=source,
        rule=rule,
        confidence=utterance.confidence,
    )


def find(quote: str, text: str) -> str | None:
    """The whole sentences of `text` that the quote's letters lie in; None where they do not."""
    wanted = letters(quote)
    text = unicodedata.normalize("NFC", text)
    said, places = _placed(text)
    at = said.find(wanted) if wanted else -1
    if at < 0:
        return None
    first, last = places[at], places[at + len(wanted) - 1]
    within = [one for one in sentences(text) if one.end > first and one.start <= last]
    return text[within[0].start : within[-1].end]


def sentences(text: str) -> list[Sentence]:
    """Without the white space around them; a blank text has none."""
    ends = [(match.start(), match.end()) for match in _SENTENCE_END.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    return [kept for start, stop in zip(starts, stops, strict=True) if (kept := _trimmed(text, start, stop))]


def letters(text: str) -> str:
    """Letters and digits alone, of compatible forms one (NFKC), without case."""
    return _placed(unicodedata.normalize("NFC", text))[0]


def by_id(utterances: Iterable[Utterance]) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in utterances}


def _trimmed(text: str, start: int, stop: int) -> Sentence | None:
    part = text[start:stop]
    kept = part.strip()
    begin = start + len(part) - len(part.lstrip())
    return Sentence(kept, begin, begin + len(kept)) if kept else None


def _placed(text: str) -> tuple[str, list[int]]:
    """The letters of `text`, and where in it each of them stands."""
    kept: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for letter in unicodedata.normalize("NFKC", character).casefold():
            if letter.isalnum():
                kept.append(letter)
                places.append(place)
    return "".join(kept), places

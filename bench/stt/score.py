"""Errors in what was heard. Punctuation, spaces (for characters) and case do not count."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """Edits that turn what was heard into what was said, and the length of what was said."""

    wrong: int
    length: int

    @property
    def rate(self) -> float:
        return self.wrong / self.length if self.length else 0.0


def characters(said: str, heard: str) -> Score:
    """For the CER."""
    reference = _letters(said)
    return Score(edits(reference, _letters(heard)), len(reference))


def words(said: str, heard: str) -> Score:
    """For the WER."""
    reference = _words(said)
    return Score(edits(reference, _words(heard)), len(reference))


def total(scores: Iterable[Score]) -> Score:
    """Each weighed by its length."""
    kept = list(scores)
    return Score(sum(score.wrong for score in kept), sum(score.length for score in kept))


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def _words(text: str) -> list[str]:
    return re.sub(r"[^\w']+|_", " ", unicodedata.normalize("NFKC", text)).casefold().split()

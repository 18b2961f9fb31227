"""Digits in text, written or spoken: what belongs together, whatever a recogniser put in between."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

_SYLLABLES = "공영일이삼사오육륙칠팔구"
_WIDE = "".join(chr(0xFF10 + n) for n in range(10))
_VALUES = str.maketrans(_SYLLABLES + _WIDE, "001234566789" + "0123456789")

_CHUNK = re.compile(rf"[0-9{_WIDE}{_SYLLABLES}]+")
_PIECE = re.compile(rf"[0-9{_WIDE}]+|[{_SYLLABLES}]+")
_SENTENCE_END = re.compile(r"이(?:에요|예요|고|구요|구|요|라|야|며|죠|지|거|었|네)")
"""What follows a number and begins like a digit: 오육칠팔이에요. It may be one: 오육칠이요."""
_BETWEEN = "다시|대시|에|의|[-‐‑–—―－.)]"
_SPOKEN_DASH = re.compile(_BETWEEN)
_DASH_BEFORE = re.compile(rf"[0-9{_WIDE}{_SYLLABLES}](?:{_BETWEEN})\Z")
_GAP = re.compile(rf"[ \t\n]*(?:{_BETWEEN}|,(?=[ \t\n])|[ \t\n])[ \t\n]*")
_LONGEST_GAP = 6
_DATE = re.compile(r"(?<![\d.-])(?:19|20)\d\d([-./])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d|[-./]\d)")
_DECIMAL = re.compile(r"(?<![\d.-])\d{1,4}\.\d{1,4}(?!\d|[-.]\d)")
_HANGUL = re.compile(r"[가-힣]")
_SURE = 6
"""So many digit syllables in a row are a number, whatever stands beside them."""


@dataclass(frozen=True)
class Run:
    """Digits with nothing but gaps between them."""

    digits: str
    places: tuple[int, ...]
    """Of each digit in the text."""
    gaps: tuple[str, ...]
    """What stands before each digit, back to the one before it; nothing before the first."""
    spoken: bool
    loose_ends: frozenset[int] = frozenset()
    """Digits that may be the beginning of what follows a number."""

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Where a number may begin or end."""
        return (0, *(n for n, gap in enumerate(self.gaps) if gap or n in self.loose_ends), len(self.digits))

    @cached_property
    def _gapped(self) -> tuple[int, ...]:
        return tuple(n for n, gap in enumerate(self.gaps) if gap)

    def groups(self, start: int, end: int) -> tuple[int, ...]:
        """Lengths of what gaps divide between two edges."""
        inner = self._gapped[bisect_right(self._gapped, start) : bisect_left(self._gapped, end)]
        return tuple(after - before for before, after in pairwise((start, *inner, end)))

    def windows(self, shortest: int, longest: int) -> Iterator[tuple[int, int]]:
        """From edge to edge, the longest first."""
        for n, start in enumerate(self.edges):
            ends = [end for end in self.edges[n + 1 : n + 1 + longest] if shortest <= end - start <= longest]
            yield from ((start, end) for end in reversed(ends))

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Divided where there is white space alone."""
        return pairwise((0, *(n for n, gap in enumerate(self.gaps) if gap.isspace()), len(self.digits)))


def digit_runs(text: str, shortest: int) -> Iterator[Run]:
    """Runs of at least so many digits."""
    view = _view(text)
    places = [place for place, character in enumerate(view) if "0" <= character <= "9"]
    begin = 0
    for n in range(1, len(places) + 1):
        if n < len(places) and _belongs(view[places[n - 1] + 1 : places[n]]):
            continue
        if n - begin >= shortest:
            chosen = tuple(places[begin:n])
            gaps = ("", *(view[a + 1 : b] for a, b in pairwise(chosen)))
            digits = "".join(view[place] for place in chosen)
            spoken = any(text[place] in _SYLLABLES for place in chosen)
            loose = (n for n, place in enumerate(chosen) if n and not gaps[n] and _SENTENCE_END.match(text, place))
            yield Run(digits, chosen, gaps, spoken, frozenset(loose))
        begin = n


def _belongs(gap: str) -> bool:
    return not gap or (len(gap) <= _LONGEST_GAP and _GAP.fullmatch(gap) is not None)


def _view(text: str) -> str:
    """The text, of the same length, with a digit for each spoken one; dates and decimals are taken out of it."""
    view = _CHUNK.sub(lambda found: _read(text, found.start(), found.end()), text)
    view = _DATE.sub(lambda found: "#" * len(found[0]), view)
    return _DECIMAL.sub(lambda found: "#" * len(found[0]), view)


def _read(text: str, start: int, end: int) -> str:
    if text[start:end].isascii():
        return text[start:end]
    if not _is_number(text, start, end):
        return text[start:end].translate(_WIDE_VALUES)
    pieces = _PIECE.finditer(text, start, end)
    return "".join(_read_piece(piece[0], whole=len(piece[0]) == end - start) for piece in pieces)


_WIDE_VALUES = str.maketrans(_WIDE, "0123456789")


def _is_number(text: str, start: int, end: int) -> bool:
    """Syllables that are digits elsewhere are part of a word here when they hang on other syllables: 보험이, 이사님."""
    if end - start >= _SURE:
        return True
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if _HANGUL.match(before) and not _DASH_BEFORE.search(text, max(0, start - 3), start):
        return False
    return end - start >= 3 or not _HANGUL.match(after) or _SPOKEN_DASH.match(text, end) is not None


def _read_piece(piece: str, *, whole: bool) -> str:
    """One syllable beside figures is a unit: 3일."""
    return piece if len(piece) == 1 and not whole and piece in _SYLLABLES else piece.translate(_VALUES)

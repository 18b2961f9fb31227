"""Loops in text: the same words over and over, as Whisper writes when it has lost the thread."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\w+(?:['’]\w+)*")
_STUTTER = re.compile(r"([^\W\d]{1,6}?)\1{7,}")
"""Eight times within one word: laughter is shorter. Digits are left alone: 100000000 is a number."""
_LONGEST_UNIT = 20
"""Words."""


@dataclass(frozen=True, slots=True)
class Loop:
    """text[start:end] is what can go: all but the first time."""

    start: int
    end: int
    unit: str
    times: int


def loop(text: str) -> Loop | None:
    """The longest loop that is longer than people's own repetitions."""
    stutter = _STUTTER.search(text)
    if stutter:
        unit = stutter[1]
        return Loop(stutter.start() + len(unit), stutter.end(), unit, len(stutter[0]) // len(unit))
    tokens = list(_TOKEN.finditer(text))
    words = [token[0].casefold() for token in tokens]
    best: Loop | None = None
    if len(set(words)) > len(words) - 2:
        return None
    for size in range(1, min(_LONGEST_UNIT, len(words) // 3) + 1):
        first = 0
        while first + 2 * size <= len(words):
            times = _times(words, first, size)
            if times >= _human(words[first : first + size]):
                last = first + times * size
                found = Loop(tokens[first + size - 1].end(), tokens[_tail(words, last, size) - 1].end(), "", times)
                if best is None or found.end - found.start > best.end - best.start:
                    unit = text[tokens[first].start() : tokens[first + size - 1].end()]
                    best = Loop(found.start, found.end, unit, times)
                first = last
            else:
                first += 1
    return best


def _times(words: Sequence[str], first: int, size: int) -> int:
    times = 1
    while words[first + times * size : first + (times + 1) * size] == words[first : first + size]:
        times += 1
    return times


def _tail(words: Sequence[str], last: int, size: int) -> int:
    """Where the loop ends: one that was broken off at the end of the text goes too."""
    rest = words[last:]
    return len(words) if rest == words[last - size : last - size + len(rest)] else last


def _human(unit: Sequence[str]) -> int:
    """How many times are too many: people do say 네, 네, 네 and spell 0000."""
    if all(word.isdecimal() for word in unit):
        return 8
    return 3 if len(set(unit)) > 1 else 4

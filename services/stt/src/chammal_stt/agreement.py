"""LocalAgreement-2: of text that is recognised again and again while it grows, what two successive tries agree on."""

import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher

_WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})


@dataclass(frozen=True, slots=True)
class Agreed:
    text: str
    stable: str
    """A prefix of `text` that only grows."""


class Agreement:
    """Of one utterance. Words are what spaces part, as Korean's eojeol; in scripts without spaces, characters."""

    def __init__(self) -> None:
        self.stable = ""
        self._stable: list[str] = []
        self._previous: list[str] = []

    def hear(self, text: str, language: str | None) -> Agreed:
        spaced = language not in _WITHOUT_SPACES
        joint = " " if spaced else ""
        words = text.split() if spaced else list("".join(text.split()))
        tail = words[_after(self._stable, words) :]
        self._stable += tail[: _common(self._previous, tail)]
        fresh = tail[_common(self._previous, tail) :]
        self._previous = fresh
        self.stable = joint.join(self._stable)
        return Agreed(joint.join(self._stable + fresh), self.stable)


def _after(stable: list[str], words: list[str]) -> int:
    """How many of `words` say again what is stable, though some of them may be written otherwise now."""
    said, again = [_bare(word) for word in stable], [_bare(word) for word in words]
    blocks = SequenceMatcher(None, said, again, autojunk=False).get_matching_blocks()
    last = max((block for block in blocks if block.size), key=lambda block: block.a, default=None)
    if last is None:
        return min(len(stable), len(words))
    return min(last.b + last.size + len(stable) - last.a - last.size, len(words))


def _common(previous: list[str], words: list[str]) -> int:
    count = 0
    for before, now in zip(previous, words, strict=False):
        if _bare(before) != _bare(now):
            break
        count += 1
    return count


def _bare(word: str) -> str:
    """Without case and punctuation, which Whisper changes as a sentence grows."""
    letters = "".join(char for char in word.casefold() if unicodedata.category(char)[0] not in "PS")
    return letters or word

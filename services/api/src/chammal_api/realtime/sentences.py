"""Cuts a reply into pieces to speak while it is still being written.

A piece ends where a sentence does: at once after `다.` or `？`, which nothing can change any more, and with the space
that follows where more could (`3.` may become `3.5`, `Dr.` a name). The first piece of a reply ends at a clause, so
that its audio starts soon. A block of code is a piece of its own, which nobody speaks. The pieces put together are the
text, unchanged.
"""

import re

LONGEST = (60, 100, 160)
"""Characters of the first, the second and any other piece: each is heard while the next, longer one is made."""
SHORTEST_CLAUSE = 12
"""About as many phonemes has the first piece at least, or what follows would not be there when it has been heard."""

_CLOSERS = "\"'”’」』）)\\]*_"
_END = re.compile(
    rf"""(?:
        (?:(?<=[가-힣])[.!?…]+ | [!?…]+ | [。！？｡]+)[{_CLOSERS}]*\s*
      | \.+[{_CLOSERS}]*\s+
      | \n\s*
    )""",
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|vs|No|Fig|Inc|Ltd|Co|Corp|e\.g|i\.e|etc|approx|dept|a\.m|p\.m|[A-Z])\.\s*$"
)
_LIST_MARK = re.compile(r"^\s*(?:\d{1,2}|[가-하])\.[ \t]*$")
_CLAUSE = re.compile(r"(?:[,;:—][ \t]+|[、，；：][ \t]*|(?<=[가-힣])(?:는데|니까|지만|면서|어서|아서|고|며)[,]?[ \t]+)")
_SPACE = re.compile(r"\s+")
_CODE = re.compile(r"\s*```")


class SentenceCutter:
    def __init__(self) -> None:
        self._text = ""
        self._cut_off = 0
        """Pieces with something to speak."""

    def feed(self, text: str) -> list[str]:
        """The pieces that this text completed."""
        self._text += text
        pieces = []
        while cut := self._cut():
            pieces.append(self._text[:cut])
            self._text = self._text[cut:]
            self._cut_off += speakable(pieces[-1])
        return pieces

    def end(self) -> str:
        """What is left when no more comes; may be empty."""
        rest, self._text = self._text, ""
        return rest

    def _cut(self) -> int:
        """How much of the text is a piece; 0 for none."""
        if code := _CODE.match(self._text):
            return self._text.find("```", code.end()) + 3 if "```" in self._text[code.end() :] else 0
        if (begins := self._text.find("```")) > 0 and not _sentence_end(self._text[:begins]):
            return begins
        longest = LONGEST[min(self._cut_off, len(LONGEST) - 1)]
        found = _sentence_end(self._text)
        if not self._cut_off:
            clause = _clause_end(self._text[: found or None])
            found = clause or found
        if found and found <= longest:
            return found
        return _best_cut(self._text, longest) if len(self._text) > longest else 0


def speakable(text: str) -> bool:
    return not _CODE.match(text) and any(char.isalnum() for char in text)


def phonemes(text: str) -> float:
    """About how many: three for a Hangul syllable, one for another letter, five for a digit."""
    return sum(3 if "가" <= char <= "힣" else 5 if char.isdigit() else char.isalpha() for char in text)


def _sentence_end(text: str) -> int:
    for match in _END.finditer(text):
        head = text[: match.end()]
        if not speakable(head) and match.end() == len(text):
            return 0
        if speakable(head) and not ("\n" not in match[0] and (_ABBREVIATION.search(head) or _LIST_MARK.match(head))):
            return match.end()
    return 0


def _clause_end(text: str) -> int:
    for match in _CLAUSE.finditer(text):
        if match.end() <= LONGEST[0] and phonemes(text[: match.end()]) >= SHORTEST_CLAUSE:
            return match.end()
    return 0


def _best_cut(text: str, longest: int) -> int:
    """The last clause of the later two thirds, else the last space, else where it no longer fits."""
    head = text[:longest]
    for pattern in (_CLAUSE, _SPACE):
        ends = [match.end() for match in pattern.finditer(head)]
        if ends and ends[-1] > longest // 3:
            return ends[-1]
    return longest

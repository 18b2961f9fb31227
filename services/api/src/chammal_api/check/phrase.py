"""Phrases of keyword rules: plain words with limited wildcards, matched on letters alone.

    원금 보장(된|됩|돼)     one of these; (은|는|) may be nothing
    원금 * 손실             up to 6 letters between, within one sentence; {12} for up to 12
    연 # (%|퍼센트|프로)    # is a number, in digits or as it is spoken, and its unit
    ^네 알겠 · 되나요$      ^ where a sentence begins, $ where it ends, with its question mark or without
    보장?$                  only where the recogniser heard a question

White space and other punctuation never count, since recognisers differ in both. Each piece is bounded and there are no
repetitions within repetitions, so that no text makes matching slow.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

SENTENCE = "\n"
"""Ends a sentence in text that is made of letters."""
MAX_GAP = 20
MAX_WAYS = (MAX_GAP + 1) ** 3
"""In which the gaps of a phrase may be filled: what one place in the text can cost."""
_GAP = 6
_MAX_WORDS = 80
_NUMBER = r"(?:[0-9]{1,15}|[영공일이삼사오육륙칠팔구십백천만억조점]{1,12})"
_TOKEN = re.compile(
    r"\((?P<group>[^()]*)\)|\{(?P<gap>\d{1,2})\}|(?P<star>\*)|(?P<one>[#^$])|(?P<literal>[^(){}*#^$|]+)"
)
_ONE = {"#": _NUMBER, "^": rf"(?<![^{SENTENCE}])", "$": rf"\??(?![^{SENTENCE}])"}
_NUMBER_LAST = re.compile(r"#[\s*]*(?:\{\d+\}[\s*]*)*$")
_NO_LETTER = re.compile(r"[^\w%?]+|_+")


@dataclass(frozen=True, slots=True)
class CompiledPhrase:
    pattern: re.Pattern[str]
    needles: tuple[str, ...]
    """One of these is in every text that matches."""

    def may_be_in(self, letters: str) -> bool:
        return any(needle in letters for needle in self.needles)


def letters_of(text: str) -> str:
    """Letters, digits, % and ?, without case, white space and punctuation."""
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text)).casefold()


def has_words(text: str) -> bool:
    """Marks of punctuation alone are nothing said."""
    return any(character.isalnum() for character in text)


@lru_cache(maxsize=8192)
def compile_phrase(phrase: str) -> CompiledPhrase:
    """Raises ValueError with what is wrong."""
    parts: list[str] = []
    needles: tuple[str, ...] = ()
    at, ways = 0, 1
    while at < len(phrase):
        token = _TOKEN.match(phrase, at)
        if token is None:
            raise ValueError(f"phrase {phrase!r}: cannot be read from {phrase[at : at + 10]!r} on")
        at = token.end()
        if token["group"] is not None:
            pattern, found = _group(phrase, token["group"])
        elif token["literal"] is not None:
            literal = letters_of(token["literal"])
            pattern, found = re.escape(literal), (literal,) if literal else ()
        elif token["one"] is not None:
            pattern, found = _ONE[token["one"]], ()
        else:
            letters = _gap(phrase, token["gap"])
            ways *= letters + 1
            pattern, found = rf"[^{SENTENCE}]{{0,{letters}}}?", ()
        parts.append(pattern)
        if found and (not needles or min(map(len, found)) > min(map(len, needles))):
            needles = found
    if not needles:
        raise ValueError(f"phrase {phrase!r}: no word of it must be there")
    if _NUMBER_LAST.search(phrase):
        raise ValueError(f"phrase {phrase!r}: behind # must stand what is counted, since 이, 오 or 만 begin many words")
    if ways > MAX_WAYS:
        raise ValueError(f"phrase {phrase!r}: too many or too long gaps, which can be filled in {ways} ways")
    return CompiledPhrase(re.compile("".join(parts)), needles)


def _group(phrase: str, group: str) -> tuple[str, tuple[str, ...]]:
    words = [letters_of(word) for word in group.split("|")]
    if len(words) < 2 or len(words) > _MAX_WORDS or set(group) & set("*{#^$"):
        raise ValueError(f"phrase {phrase!r}: ({group}) must be 2 to {_MAX_WORDS} plain words")
    words.sort(key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, words))})", tuple(words) if all(words) else ()


def _gap(phrase: str, length: str | None) -> int:
    most = _GAP if length is None else int(length)
    if not 1 <= most <= MAX_GAP:
        raise ValueError(f"phrase {phrase!r}: a gap is 1 to {MAX_GAP} letters")
    return most

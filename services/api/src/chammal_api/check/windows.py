"""Which lines of a call a model is shown, so that a small context suffices however long the call is.

What must be said is looked for where it would be: in the lines nearest to its phrases, with their neighbours. What must
not be said may be anywhere, so windows cover the whole call. Both are pure functions of their input.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import log

from chammal_api.check.evidence import letters, sentences
from chammal_contracts.checks import Speaker, Utterance

MAX_LINE_CHARACTERS = 200
"""A longer utterance is several lines: evidence should be a few sentences, and a model names one line."""
LINE_TOKENS = 10
"""For a line's number, its speaker and its end."""
NEIGHBOURS = (1, 2)
"""Lines before and after one that fits: a question, and what was answered to it."""
OVERLAP = 2
"""Lines that two windows of a cover share, so that a question and its answer are seen together once."""


@dataclass(frozen=True, slots=True)
class Line:
    utterance_id: str
    speaker: Speaker
    text: str
    tokens: int = field(default=0, compare=False)


Window = tuple[Line, ...]
"""In the order of the call."""


def lines_of(utterances: Iterable[Utterance]) -> list[Line]:
    """Each is a literal part of its utterance; blank utterances have none."""
    return [
        Line(utterance.id, utterance.speaker, text, estimate_tokens(text) + LINE_TOKENS)
        for utterance in utterances
        for text in _pieces(utterance.text)
    ]


def text_of(lines: Iterable[Line]) -> str:
    """A line each, with its speaker where it is known."""
    return "\n".join(line.text if line.speaker is Speaker.UNKNOWN else f"{line.speaker}: {line.text}" for line in lines)


def estimate_tokens(text: str) -> int:
    """At least as many as the tokenizers of Qwen, Llama and GPT make of text as people speak it; a bit too many.

    A Korean syllable is about 0.7 tokens and a digit is one; what is rarer may be one token a byte.
    """
    return sum(_cost(character) for character in text) // 4 + 1


def cover(lines: Sequence[Line], budget: int, most: int | None = None) -> list[Window]:
    """Every line in at least one window, of `most` lines; none exceeds `budget` tokens unless a single line does."""
    most = max(most or len(lines), OVERLAP + 1)
    windows: list[Window] = []
    start = 0
    while start < len(lines):
        end, spent = start, 0
        while end < min(len(lines), start + most) and (end == start or spent + lines[end].tokens <= budget):
            spent += lines[end].tokens
            end += 1
        windows.append(tuple(lines[start:end]))
        if end == len(lines):
            break
        start = max(start + 1, end - OVERLAP)
    return windows


def relevant(lines: Sequence[Line], phrases: Iterable[str], budget: int) -> Window:
    """The lines nearest to the phrases, each with its neighbours, then the call from its beginning, within `budget`."""
    scores = _scores(lines, list(phrases))
    chosen: set[int] = set()
    left = budget
    before, after = NEIGHBOURS
    best = sorted(
        (place for place in range(len(lines)) if scores[place] > 0), key=lambda place: (-scores[place], place)
    )
    for place in best:
        left = _take(lines, [place], chosen, left)
        left = _take(lines, [*range(place + 1, place + 1 + after), *range(place - before, place)], chosen, left)
    _take(lines, range(len(lines)), chosen, left)
    return tuple(lines[place] for place in sorted(chosen))


def _take(lines: Sequence[Line], places: Iterable[int], chosen: set[int], left: int) -> int:
    """What is left of the budget after those of `places` that fit."""
    for place in places:
        if 0 <= place < len(lines) and place not in chosen and lines[place].tokens <= left:
            chosen.add(place)
            left -= lines[place].tokens
    return left


def _scores(lines: Sequence[Line], phrases: list[str]) -> list[float]:
    """Whole phrases first, then pairs of letters shared with them; a pair that many lines have tells little."""
    wanted = [kept for phrase in phrases if (kept := letters(phrase))]
    said = [letters(line.text) for line in lines]
    pairs = [_pairs(text) for text in said]
    common = Counter(pair for one in pairs for pair in one)
    asked = {pair for phrase in wanted for pair in _pairs(phrase)}
    weights = {pair: log(1 + len(lines) / common[pair]) for pair in asked if common[pair]}
    most = sum(weights.values()) or 1.0
    return [
        sum(phrase in text for phrase in wanted) + sum(weights[pair] for pair in one & weights.keys()) / most
        for text, one in zip(said, pairs, strict=True)
    ]


def _pairs(text: str) -> set[str]:
    return {text[place : place + 2] for place in range(len(text) - 1)}


def _pieces(text: str) -> list[str]:
    """Runs of whole sentences of at most MAX_LINE_CHARACTERS; a longer sentence is cut between words."""
    if len(text) <= MAX_LINE_CHARACTERS:
        return [text.strip()] if text.strip() else []
    pieces: list[str] = []
    start: int | None = None
    end = 0
    for one in sentences(text):
        if start is not None and one.end - start > MAX_LINE_CHARACTERS:
            pieces += _cut(text[start:end])
            start = None
        start = one.start if start is None else start
        end = one.end
    return pieces if start is None else pieces + _cut(text[start:end])


def _cut(text: str) -> list[str]:
    pieces: list[str] = []
    while len(text) > MAX_LINE_CHARACTERS:
        space = text.rfind(" ", 1, MAX_LINE_CHARACTERS)
        end = space if space > 0 else MAX_LINE_CHARACTERS
        pieces.append(text[:end].strip())
        text = text[end:].strip()
    return [piece for piece in (*pieces, text) if piece]


def _cost(character: str) -> int:
    """In quarters of a token."""
    if "가" <= character <= "힣":
        return 4
    if character.isascii():
        return 2 if character.isalpha() or character == " " else 4
    return 4 * len(character.encode("utf-8", "surrogatepass"))

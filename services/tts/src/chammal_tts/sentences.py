"""Where a text is cut so that its first part can be spoken while the rest is still to be made."""

import re

_CLOSERS = "\"'”’」』)\\]"
_BREAK = re.compile(
    rf"""(?:
        [.!?…]+[{_CLOSERS}]*(?=\s|$)            # Western, followed by space
      | (?<=[가-힣])[.!?…]+[{_CLOSERS}]*(?=[가-힣A-Z])   # 했습니다.그리고
      | [。！？]+[{_CLOSERS}]*                    # CJK, with or without space
      | \n+
    )""",
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|vs|No|Fig|Inc|Ltd|Co|e\.g|i\.e|approx|dept)|\b[A-Z])\.$"
)
_LONGEST_ABBREVIATION = 10
_DATE = re.compile(r"(?<!\d)\d{4}\.(?: ?\d{1,2}\.)?$")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,2}\.$")
_STRONG = re.compile(r"[,;:、，—]\s*$")
_ENDING = re.compile(r"(?:[다요죠까]|[가-힣](?:고|며|면|서|만))\s*$")


def sentences(text: str) -> list[str]:
    """Sentences with their punctuation, without surrounding space. Line breaks end one too."""
    found, start = [], 0
    for match in _BREAK.finditer(text):
        before = text[max(start, match.end() - _LONGEST_ABBREVIATION) : match.end()]
        if _ABBREVIATION.search(before) or _LIST_NUMBER.search(before) or _goes_on(before, text[match.end() :]):
            continue
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]


def _goes_on(before: str, after: str) -> bool:
    """A point that ends no sentence: `2026. 11. 22.`, `6 p.m. on`, `approx. five`."""
    return before.endswith(".") and bool(
        re.match(r" +[a-z]", after) or (_DATE.search(before) and re.match(r" ?\d{1,2}\.", after))
    )


def weight(text: str) -> float:
    """About how many phonemes `text` has: three for a Hangul syllable, one for another character."""
    return sum(3.0 if "가" <= char <= "힣" else 1.1 for char in text)


def pieces(sentence: str, limit: float) -> list[str]:
    """Parts of at most `limit` phonemes (by `weight`), cut at commas, else Korean clause endings, else spaces."""
    if weight(sentence) <= limit:
        return [sentence]
    cut = _best_cut(sentence, limit)
    head, tail = sentence[:cut].strip(), sentence[cut:].strip()
    return [part for part in (head, *(pieces(tail, limit) if tail else ())) if part]


def _best_cut(sentence: str, limit: float) -> int:
    """The last cut of the best kind in what fits; a word without any space is cut where it no longer fits."""
    total, fits = 0.0, 0
    for fits, char in enumerate(sentence):  # noqa: B007
        total += weight(char)
        if total > limit:
            break
    best = {"strong": 0, "ending": 0, "space": 0}
    for match in re.finditer(r"\s+", sentence[: fits + 1]):
        head = sentence[: match.start()]
        kind = "strong" if _STRONG.search(head) else "ending" if _ENDING.search(head) else "space"
        best[kind] = match.start()
    for kind in ("strong", "ending"):
        if best[kind] >= fits // 3:
            return best[kind]
    return best["space"] or max(fits, 1)

"""Whether what was said is denied in its own clause: "원금이 보장되지 않습니다" promises nothing.

Korean denies behind the words as a rule ("보장되는 것은 아닙니다") and now and then before them ("비보장").
"""

import re
from collections.abc import Iterable

from chammal_api.check.phrase import compile_phrase
from chammal_api.check.rules import Negation
from chammal_api.check.spoken import Span, Spoken

_AFTER, _BEFORE = 40, 12
"""Letters."""


class Denial:
    def __init__(self, negation: Negation, spoken: Spoken) -> None:
        self._spoken = spoken
        self._after = _one_of(negation.after)
        self._before = _one_of(negation.before, r"\Z")
        self._clause_end = _one_of(negation.clause_ends)

    def denies(self, span: Span) -> bool:
        letters = self._spoken.letters
        start, end = self._spoken.sentence_around(span)
        tail = letters[span.end : min(end, span.end + _AFTER)]
        if self._clause_end is not None and (closed := self._clause_end.search(tail)):
            tail = tail[: closed.end()]
        head = letters[max(start, span.start - _BEFORE) : span.start]
        return bool((self._after and self._after.match(tail)) or (self._before and self._before.search(head)))


def _one_of(phrases: Iterable[str], after: str = "") -> re.Pattern[str] | None:
    patterns = [f"(?:{compile_phrase(phrase).pattern.pattern})" for phrase in phrases]
    return re.compile(f"(?:{'|'.join(patterns)}){after}") if patterns else None

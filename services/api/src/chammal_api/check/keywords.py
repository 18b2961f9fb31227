"""Keyword rules on a call: what was said by whom, near what, and not denied. No model, and no I/O."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chammal_api.check.findings import RuleFinding, RuleHit
from chammal_api.check.metadata import read_metadata
from chammal_api.check.negation import Denial
from chammal_api.check.rules import Element, KeywordRule, Nearby, RuleSet
from chammal_api.check.spoken import Span, Spoken
from chammal_contracts.checks import CheckRequest, Evidence, Polarity, Speaker

MAX_SHOWN = 5
"""Hits of one rule that become evidence."""


@dataclass(frozen=True, slots=True)
class _Hit:
    spans: tuple[Span, ...]
    near: tuple[Span, ...] = ()
    """What had to stand near it; shown with it, since "네, 그럼요" alone says nothing."""

    @property
    def first(self) -> Span:
        return self.spans[0]

    @property
    def last(self) -> Span:
        return self.spans[-1]


def run_rules(rules: RuleSet, request: CheckRequest) -> dict[str, RuleFinding]:
    """By id, for each element that holds for the call and has rules, and for each signal."""
    call = _Call(rules, request)
    found = {signal.id: RuleFinding(tuple(call.hits_of(signal, signal.negatable or False))) for signal in rules.signals}
    for element in rules.elements:
        if element.when.holds_for(request) and (element.rules or element.metadata):
            found[element.id] = call.finding_of(element)
    return found


class _Call:
    def __init__(self, rules: RuleSet, request: CheckRequest) -> None:
        self._request = request
        self._spoken = Spoken(request.utterances)
        self._denial = Denial(rules.negation, self._spoken)
        self._turns = {speaker: self._numbered(speaker) for speaker in (None, *Speaker)}
        self._raw: dict[str, list[_Hit]] = {}
        self._cleared: dict[str, set[int]] = {}
        self._found: dict[tuple[str, ...], list[Span]] = {}
        self._rules: dict[str, list[tuple[KeywordRule, bool]]] = {}
        self._unless: dict[str, tuple[str, ...]] = {}
        for signal in rules.signals:
            self._rules[signal.id] = [(signal, signal.negatable or False)]
        for element in rules.elements:
            own = [(rule, _negatable(rule, element)) for rule in element.rules]
            if element.polarity is Polarity.MUST_NOT:
                self._unless.update({rule.id: rules.negation.unclaimed for rule in element.rules})
            self._rules[element.id] = own
            self._rules.update({rule.id: [(rule, negatable)] for rule, negatable in own})

    def finding_of(self, element: Element) -> RuleFinding:
        if element.metadata is not None:
            return read_metadata(element.metadata, self._request)
        hits = [hit for rule in element.rules for hit in self.hits_of(rule, _negatable(rule, element))]
        cleared = {number for rule in element.rules for number in self._cleared.get(rule.id, ())}
        names = frozenset(self._request.utterances[number].id for number in cleared)
        return RuleFinding(tuple(hits), names if element.polarity is Polarity.MUST_NOT else frozenset())

    def hits_of(self, rule: KeywordRule, negatable: bool) -> Iterator[RuleHit]:
        """At most one of a sentence."""
        by_sentence = {
            self._spoken.sentence_around(hit.first): hit
            for hit in reversed(list(self._ordered(rule, self._raw_hits(rule, negatable))))
        }
        hits = list(reversed(by_sentence.values()))
        if len(hits) < rule.min_count:
            return
        for hit in hits[:MAX_SHOWN]:
            spans = sorted({*hit.near, *hit.spans})
            known = rule.speaker is None or all(
                self._request.utterances[span.utterance].speaker is not Speaker.UNKNOWN for span in hit.spans
            )
            yield RuleHit(rule.id, rule.part, tuple(self._evidence(spans, rule.id)), known)

    def _evidence(self, spans: Iterable[Span], rule: str) -> Iterator[Evidence]:
        seen: set[tuple[str, str]] = set()
        for span in spans:
            for evidence in self._spoken.evidence(span, rule):
                key = (evidence.utterance_id, evidence.quote)
                if key not in seen:
                    seen.add(key)
                    yield evidence

    def _ordered(self, rule: KeywordRule, hits: Iterable[_Hit]) -> Iterator[_Hit]:
        """Those on the right side of what `before` and `after` name, whose own order does not matter."""
        before = self._first(rule.before) if rule.before else None
        after = self._first(rule.after) if rule.after else None
        for hit in hits:
            if before is not None and hit.first.start >= before:
                continue
            if rule.after and (after is None or hit.first.start <= after):
                continue
            yield hit

    def _first(self, name: str) -> int | None:
        hits = [hit for rule, negatable in self._rules[name] for hit in self._raw_hits(rule, negatable)]
        return min((hit.first.start for hit in hits), default=None)

    def _raw_hits(self, rule: KeywordRule, negatable: bool) -> list[_Hit]:
        if rule.id not in self._raw:
            self._raw[rule.id] = list(self._look(rule, negatable)) if rule.when.holds_for(self._request) else []
        return self._raw[rule.id]

    def _look(self, rule: KeywordRule, negatable: bool) -> Iterator[_Hit]:
        groups = [self._kept(rule, phrases, negatable) for phrases in (rule.all or (rule.any or (),))]
        found = self._together(rule, groups) if rule.all else ((span,) for span in groups[0])
        for spans in found:
            near: list[Span] = []
            if rule.preceded_by is not None:
                near += self._near(rule.preceded_by, spans[0], before=True)
                if not near:
                    continue
            if rule.followed_by is not None:
                follow = self._near(rule.followed_by, spans[-1], before=False)
                if not follow:
                    continue
                near += follow
            if self._unmade(rule, spans):
                self._clear(rule, spans)
                continue
            yield _Hit(spans, tuple(near))

    def _unmade(self, rule: KeywordRule, spans: tuple[Span, ...]) -> bool:
        before, after = rule.not_preceded_by, rule.not_followed_by
        if before is not None and self._near(before, spans[0], before=True):
            return True
        return after is not None and bool(self._near(after, spans[-1], before=False))

    def _kept(self, rule: KeywordRule, phrases: Sequence[str], negatable: bool) -> list[Span]:
        """Spans of the right speaker and place that nothing in their sentence denies."""
        kept = []
        unless = (*(rule.unless or ()), *self._unless.get(rule.id, ()))
        for span in self._spoken.find(phrases):
            if not self._fits(rule.speaker, span) or (rule.in_first and span.utterance >= rule.in_first):
                continue
            if (negatable and self._denial.denies(span)) or (unless and self._excepted(unless, span)):
                self._clear(rule, (span,))
                continue
            kept.append(span)
        return kept

    def _clear(self, rule: KeywordRule, spans: Iterable[Span]) -> None:
        self._cleared.setdefault(rule.id, set()).update(span.utterance for span in spans)

    def _excepted(self, phrases: tuple[str, ...], span: Span) -> bool:
        start, end = self._spoken.sentence_around(span)
        return any(start <= other.start and other.end <= end for other in self._cached(phrases))

    def _fits(self, speaker: Speaker | None, span: Span) -> bool:
        return speaker is None or self._request.utterances[span.utterance].speaker in (speaker, Speaker.UNKNOWN)

    def _together(self, rule: KeywordRule, groups: list[list[Span]]) -> Iterator[tuple[Span, ...]]:
        """One span of each group within `within` turns of the speaker; what overlaps is one hit."""
        turns = self._turns[rule.speaker]
        reached = -1
        for start in sorted({span for group in groups for span in group}):
            if start.start <= reached:
                continue
            chosen = []
            for group in groups:
                at = bisect_left(group, start)
                if at == len(group) or turns[group[at].utterance] - turns[start.utterance] >= rule.within:
                    break
                chosen.append(group[at])
            else:
                yield tuple(sorted(chosen))
                reached = max(span.end for span in chosen) - 1

    def _numbered(self, speaker: Speaker | None) -> list[int]:
        """For each utterance, how many of this speaker came before it."""
        numbers, count = [], 0
        for utterance in self._request.utterances:
            numbers.append(count)
            count += speaker is None or utterance.speaker in (speaker, Speaker.UNKNOWN)
        return numbers

    def _near(self, nearby: Nearby, span: Span, *, before: bool) -> list[Span]:
        """The nearest one, if there is one."""
        spans = self._cached(tuple(nearby.any))
        at = bisect_left(spans, span)
        candidates: Iterable[Span] = reversed(spans[:at]) if before else spans[at:]
        for other in candidates:
            if abs(other.utterance - span.utterance) > nearby.within:
                break
            apart = other.end <= span.start if before else other.start >= span.end
            if apart and self._fits(nearby.speaker, other) and not (nearby.negatable and self._denial.denies(other)):
                return [other]
        return []

    def _cached(self, phrases: tuple[str, ...]) -> list[Span]:
        if phrases not in self._found:
            self._found[phrases] = self._spoken.find(phrases)
        return self._found[phrases]


def _negatable(rule: KeywordRule, element: Element) -> bool:
    return rule.negatable if rule.negatable is not None else element.polarity is Polarity.MUST_NOT

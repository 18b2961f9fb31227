"""Verdicts beside labels: precision and recall, and whether the words that a verdict rests on are there."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.compliance.labels import ELEMENTS, MUST_NOT, Label, LabelledCall, Truth

from chammal_contracts.checks import CheckResult, ElementResult, Utterance, Verdict

CLAIMS = (Verdict.MET, Verdict.PARTLY_MET)


@dataclass
class Count:
    """Of claims that something was said, or violated. What experts could differ about is in none of these."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float | None:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        return self.right / (self.right + self.missed) if self.right + self.missed else None

    def add(self, claimed: bool, true: bool) -> None:
        self.right += claimed and true
        self.wrong += claimed and not true
        self.missed += true and not claimed


@dataclass(frozen=True)
class Mistake:
    call: str
    element: str
    truth: Truth
    verdict: Verdict
    said: str
    """The words that the verdict rests on, or that it should have rested on."""


@dataclass
class Score:
    calls: int = 0
    elements: dict[str, Count] = field(default_factory=lambda: {element: Count() for element in ELEMENTS})
    missing: Count = field(default_factory=Count)
    """Of 미충족: claims that something that must be said was not."""
    confusion: Counter[tuple[Truth, Verdict]] = field(default_factory=Counter)
    quotes: int = 0
    quotes_not_there: int = 0
    claims_without_quote: int = 0
    at_label: Count = field(default_factory=Count)
    """Of right claims: whether an utterance is quoted that the label names. Nothing where there are no labelled ids."""
    mistakes: list[Mistake] = field(default_factory=list)

    def pooled(self, elements: Iterable[str]) -> Count:
        counts = [self.elements[element] for element in elements]
        return Count(sum(c.right for c in counts), sum(c.wrong for c in counts), sum(c.missed for c in counts))

    @property
    def must_not(self) -> Count:
        return self.pooled(MUST_NOT)

    @property
    def must_say(self) -> Count:
        return self.pooled(set(ELEMENTS) - MUST_NOT)

    @property
    def total(self) -> Count:
        return self.pooled(ELEMENTS)


def score(
    calls: Sequence[LabelledCall],
    results: Mapping[str, CheckResult],
    heard: Mapping[str, list[Utterance]] | None = None,
) -> Score:
    """`heard`: what the check was given instead of the script; its ids are not those of the labels."""
    made = Score()
    for call in calls:
        if call.id not in results:
            continue
        made.calls += 1
        utterances = call.request.utterances if heard is None else heard[call.id]
        by_id = {result.id: result for result in results[call.id].elements}
        for element in ELEMENTS:
            _add(made, call, call.labels[element], by_id[element], utterances, same_ids=heard is None)
    return made


def _add(
    made: Score, call: LabelledCall, label: Label, result: ElementResult, utterances: list[Utterance], *, same_ids: bool
) -> None:
    made.confusion[label.truth, result.verdict] += 1
    _check_quotes(made, result, utterances)
    if label.truth is Truth.ARGUABLE:
        return
    claimed = result.verdict is Verdict.SUSPECTED if result.id in MUST_NOT else result.verdict in CLAIMS
    made.elements[result.id].add(claimed, label.truth.positive)
    if result.id not in MUST_NOT:
        made.missing.add(result.verdict is Verdict.UNMET, label.truth is Truth.NOT_SAID)
    if claimed and label.utterance_ids and same_ids:
        made.at_label.add(True, bool(label.utterance_ids & {evidence.utterance_id for evidence in result.evidence}))
    if claimed != label.truth.positive:
        shown = {evidence.utterance_id for evidence in result.evidence} if claimed else label.utterance_ids
        said = " / ".join(utterance.text for utterance in utterances if utterance.id in shown)
        made.mistakes.append(Mistake(call.id, result.id, label.truth, result.verdict, said if same_ids else ""))


def _check_quotes(made: Score, result: ElementResult, utterances: list[Utterance]) -> None:
    said = {utterance.id: utterance for utterance in utterances}
    for evidence in result.evidence:
        made.quotes += 1
        utterance = said.get(evidence.utterance_id)
        if utterance is None or not letters(evidence.quote) or letters(evidence.quote) not in letters(utterance.text):
            made.quotes_not_there += 1
    by_the_hour = result.id == "TM-03"
    rests_on_words = result.verdict is Verdict.SUSPECTED or (result.id not in MUST_NOT and result.verdict in CLAIMS)
    if rests_on_words and not by_the_hour and not result.evidence:
        made.claims_without_quote += 1


def letters(text: str) -> str:
    """Written here again: the check is not to be measured by its own reading."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def rows(made: Score) -> Iterator[tuple[str, Count]]:
    for element in ELEMENTS:
        yield element, made.elements[element]
    yield "must_not", made.must_not
    yield "must_say, must_confirm", made.must_say
    yield "all", made.total

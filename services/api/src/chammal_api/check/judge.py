"""The language model's part of the check: small groups of questions at the same time, each claim asked about twice.

First it is asked in which line something is said, or, of what must not be said, what each line is; then, of each line
that it names, whether that line really says so, and of a suspicion twice more as a choice. A small model names a line
too easily and is far better at the second question. What it named and did not stand by is not said. A question is
answered when all windows that it was asked about were, or when one of them brought a finding.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from chammal_api.check.asking import Asker, Tally
from chammal_api.check.findings import JudgeOutcome, ModelFinding
from chammal_api.check.phrase import compile_phrase
from chammal_api.check.prompts import (
    PROMPT_VERSION,
    choice_messages,
    choice_schema,
    confirm_messages,
    confirm_schema,
    find_messages,
    find_schema,
    keyed,
    sort_messages,
    sort_schema,
    sorted_places,
)
from chammal_api.check.rules import Question, RuleSet
from chammal_api.check.windows import Line, Window, cover, lines_of, relevant
from chammal_api.outcome import skipped
from chammal_contracts.checks import CheckRequest, Polarity, Speaker
from chammal_contracts.stages import Stage
from chammal_kit.deadline import Deadline, current_deadline, set_deadline
from chammal_kit.upstream import UpstreamError

GROUP = 5
"""Questions asked at once at most."""
SORTS = 8
"""Kinds that lines are sorted into at most."""
AROUND = 2
"""Lines on either side of one that is asked about a second time."""
ASKED_AGAIN = 3
"""Lines of one window that are asked about a second time, for one question."""
SORTED_LINES = 12
"""Lines of a window whose every line is sorted; a small model loses count of more."""
ANSWER_TOKENS = 24
PART_TOKENS = 16
"""For each part of an answer, with white space."""

STOOD_BY = 0.8
SUSPECTED = 0.5
"""Lower than of what must be said: the 1.5B model that we measured takes "원금이 보장되지 않습니다" for a promise,
however it is asked. The denials that keyword rules know clear it; a person should look at the rest."""
NOT_FOUND = 0.6
NOT_STOOD_BY = 0.5
NOT_ALL_SEEN = 0.4


@dataclass(frozen=True, slots=True)
class Job:
    """One group of questions on one window."""

    number: int
    questions: tuple[Question, ...]
    window: Window
    whole: bool
    """Whether this window and those of its fellows are the whole call."""

    @property
    def sorts(self) -> bool:
        return self.questions[0].polarity is Polarity.MUST_NOT


@dataclass(slots=True)
class _Answers:
    """Of one question, from the windows that it was asked about."""

    findings: dict[int, ModelFinding] = field(default_factory=dict)
    """By number of job: what comes first in the call is shown, whoever was answered first."""
    missing: int = 0

    def best(self) -> ModelFinding | None:
        said = [self.findings[job] for job in sorted(self.findings) if self.findings[job].said]
        if said:
            return said[0]
        if self.missing or not self.findings:
            return None
        return min(self.findings.values(), key=lambda finding: finding.confidence)


class Judge:
    """`seconds` is for one whole call; what is not answered by then is missing, and the rest stands."""

    def __init__(self, asker: Asker, *, window_tokens: int = 1800, seconds: float = 900.0) -> None:
        self._asker = asker
        self._window_tokens = window_tokens
        self._seconds = seconds

    async def judge(self, rules: RuleSet, request: CheckRequest, questions: Sequence[Question]) -> JudgeOutcome:
        lines = lines_of(request.utterances)
        if not lines or not questions:
            return JudgeOutcome({}, skipped(Stage.ANALYSIS, "no transcript" if questions else "nothing to ask").report)
        tally = Tally(Stage.ANALYSIS, self._asker.upstream)
        answers = {question.id: _Answers() for question in questions}
        async with asyncio.TaskGroup() as group:
            for job in plan(lines, questions, phrases_of(rules), self._window_tokens):
                group.create_task(self._do(job, answers, tally, self._until()))
        found = {name: best for name, one in answers.items() if (best := one.best()) is not None}
        report = tally.report(len(found), len(questions), "questions")
        return JudgeOutcome(found, report, PROMPT_VERSION if found else None)

    def _until(self) -> Deadline:
        own, callers = Deadline.after(self._seconds), current_deadline()
        return own if callers is None else min(own, callers, key=lambda one: one.at)

    async def _do(self, job: Job, answers: Mapping[str, _Answers], tally: Tally, until: Deadline) -> None:
        set_deadline(until)  # of this task alone
        try:
            named = await (self._sort(job, tally) if job.sorts else self._find(job, tally))
        except UpstreamError as error:
            tally.failed(error)
            for question in job.questions:
                answers[question.id].missing += 1
            return
        async with asyncio.TaskGroup() as group:
            for question in job.questions:
                group.create_task(self._settle(job, question, named[question.id], answers[question.id], tally))

    async def _find(self, job: Job, tally: Tally) -> dict[str, list[int]]:
        """Places in the window by id of question. Raises UpstreamError."""
        window = job.window
        answer = await self._ask(find_messages(window, job.questions), find_schema(window, job.questions), tally)
        return {
            question.id: [answer[key] - 1] if 0 < answer[key] <= len(window) else []
            for key, question in keyed(job.questions)
        }

    async def _sort(self, job: Job, tally: Tally) -> dict[str, list[int]]:
        """Places in the window by id of question. Raises UpstreamError."""
        places = sorted_places(job.window)
        if not places:
            return {question.id: [] for question in job.questions}
        answer = await self._ask(
            sort_messages(job.window, job.questions), sort_schema(job.window, job.questions), tally
        )
        return {
            question.id: [place for place in places if answer[str(place + 1)] == number]
            for number, question in enumerate(job.questions, start=1)
        }

    async def _settle(
        self, job: Job, question: Question, places: Sequence[int], answers: _Answers, tally: Tally
    ) -> None:
        if not places:
            confidence = NOT_FOUND if job.whole else NOT_ALL_SEEN
            answers.findings[job.number] = ModelFinding(False, confidence=confidence, saw_all=job.whole)
            return
        try:
            answers.findings[job.number] = await self._confirm(job, places, question, tally)
        except UpstreamError as error:
            tally.failed(error)
            answers.missing += 1

    async def _confirm(self, job: Job, named: Sequence[int], question: Question, tally: Tally) -> ModelFinding:
        """Raises UpstreamError."""
        window = job.window
        places = [place for one in named[:ASKED_AGAIN] for place in places_near(window, one, question)]
        for place in dict.fromkeys(places):
            if await self._stands_by(window, place, question, tally):
                return finding_of(window, place, question)
        return ModelFinding(False, confidence=NOT_STOOD_BY if job.whole else NOT_ALL_SEEN, saw_all=job.whole)

    async def _stands_by(self, window: Window, place: int, question: Question, tally: Tally) -> bool:
        """Of a suspicion it is asked three times, in different forms, and must be of one mind. Raises UpstreamError."""
        begin = max(0, place - AROUND)
        near, at = window[begin : place + AROUND + 1], place - begin
        if not await self._says(confirm_messages(near, at, question), confirm_schema(), "yes", tally):
            return False
        if question.polarity is not Polarity.MUST_NOT:
            return True
        for first, wanted in ((True, "A"), (False, "B")):
            if not await self._says(choice_messages(near, at, question, first=first), choice_schema(), wanted, tally):
                return False
        return True

    async def _says(self, messages: list[dict[str, str]], schema: dict[str, Any], wanted: str, tally: Tally) -> bool:
        """Raises UpstreamError."""
        return bool((await self._ask(messages, schema, tally))["answer"] == wanted)

    async def _ask(self, messages: list[dict[str, str]], schema: dict[str, Any], tally: Tally) -> dict[str, Any]:
        """Raises UpstreamError."""
        max_tokens = ANSWER_TOKENS + PART_TOKENS * len(schema["properties"])
        done = await self._asker.ask(
            messages, schema, name="call_check", max_tokens=max_tokens, parse=lambda answer: _read(answer, schema)
        )
        tally.answered(done)
        return done.value


def plan(
    lines: Sequence[Line], questions: Sequence[Question], phrases: Mapping[str, tuple[str, ...]], budget: int
) -> list[Job]:
    """Those on the same window stand together, so that a server keeps what it has computed of it."""
    windows = cover(lines, budget)
    must_not = [question for question in questions if question.polarity is Polarity.MUST_NOT]
    others = [question for question in questions if question.polarity is not Polarity.MUST_NOT]
    shown: list[tuple[tuple[Question, ...], Window, bool]] = []
    for group in groups_of(others):
        if len(windows) == 1:
            shown.append((group, windows[0], True))
        else:
            wanted = [phrase for one in group for phrase in (one.looks_for, *phrases.get(one.element, ()))]
            shown.append((group, relevant(lines, wanted, budget), False))
    for window in cover(lines, budget, SORTED_LINES):
        shown += [(group, window, True) for group in groups_of(must_not, SORTS)]
    return [Job(number, *one) for number, one in enumerate(shown)]


def groups_of(questions: Sequence[Question], most: int = GROUP) -> list[tuple[Question, ...]]:
    """Of at most `most`, and as even as they can be: of eight, two fours."""
    count = -(-len(questions) // most)
    cuts = [len(questions) * number // count for number in range(count + 1)] if count else [0]
    return [tuple(questions[start:end]) for start, end in pairwise(cuts)]


def phrases_of(rules: RuleSet) -> dict[str, tuple[str, ...]]:
    """The plain words of each element's keyword rules."""
    return {
        element.id: tuple(
            needle
            for rule in element.rules
            for phrases in (rule.any or (), *(rule.all or ()))
            for phrase in phrases
            for needle in compile_phrase(phrase).needles
        )
        for element in rules.elements
    }


def places_near(window: Window, named: int, question: Question) -> list[int]:
    """The line that was named; where a customer cannot have said it, the next one that the agent said."""
    if question.polarity is Polarity.MUST_CONFIRM or window[named].speaker is not Speaker.CUSTOMER:
        return [named]
    later = range(named + 1, min(named + 1 + AROUND, len(window)))
    return [place for place in later if window[place].speaker is not Speaker.CUSTOMER][:1]


def finding_of(window: Window, place: int, question: Question) -> ModelFinding:
    line = window[place]
    ids = [line.utterance_id]
    if question.polarity is Polarity.MUST_CONFIRM and line.speaker is not Speaker.CUSTOMER:
        later = window[place + 1 : place + 1 + AROUND]
        ids += [next((one.utterance_id for one in later if one.speaker is Speaker.CUSTOMER), line.utterance_id)]
    confidence = SUSPECTED if question.polarity is Polarity.MUST_NOT else STOOD_BY
    return ModelFinding(True, tuple(dict.fromkeys(ids)), line.text, confidence)


def _read(answer: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """For backends that do not hold to the schema: what it wants, of the kinds that it wants. Raises ValueError."""
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")
    kinds = {name: int if wanted["type"] == "integer" else str for name, wanted in schema["properties"].items()}
    if wrong := [name for name, kind in kinds.items() if type(answer.get(name)) is not kind]:
        raise ValueError(f"the answer lacks {', '.join(wrong)}")
    return answer

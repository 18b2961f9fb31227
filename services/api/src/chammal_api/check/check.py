"""The check of one call: rules, then the model for what they leave open, then a verdict for each element.

The same for `POST /v1/checks` and for recorded calls. Totals and the score are counted here, never by a model.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from time import perf_counter

from chammal_api.check.agent_judge import AgentJudge
from chammal_api.check.asking import RULES
from chammal_api.check.findings import JudgeOutcome, Judging, RuleFinding
from chammal_api.check.keywords import run_rules
from chammal_api.check.rule_shelf import RuleSetUnknown, RuleShelf
from chammal_api.check.rules import Element, Question, RuleSet
from chammal_api.check.verdicts import Case, decide
from chammal_api.clients.agents import Agents
from chammal_api.clients.named_agent import NamedAgent
from chammal_api.outcome import Outcome
from chammal_contracts.checks import (
    CheckRequest,
    CheckResult,
    CheckStatus,
    CheckTotals,
    ElementResult,
    Verdict,
)
from chammal_contracts.stages import Stage, StageReport, StageStatus

_REAL = frozenset({StageStatus.OK, StageStatus.DEGRADED})
_WORTH = {Verdict.MET: 1.0, Verdict.PARTLY_MET: 0.5, Verdict.UNMET: 0.0, Verdict.SUSPECTED: 0.0}


class Checker:
    def __init__(self, shelf: RuleShelf, judge: Judging, agents: Agents | None = None) -> None:
        self.shelf = shelf
        self._judge = judge
        self._agents = agents

    async def check(self, request: CheckRequest, agent: NamedAgent | None = None) -> Outcome[CheckResult]:
        """A result even where the model brought nothing: what rules found, marked `rules_only`, and a report that says
        `dummy`. Without a result: there is no such rule set, or nothing was said."""
        started = perf_counter()
        try:
            rules = self.shelf.get(request.rule_set)
        except RuleSetUnknown as unknown:
            return Outcome(None, _report(StageStatus.DUMMY, error=str(unknown), error_type="rule_set_unknown"))
        found = await asyncio.to_thread(run_rules, rules, request)
        questions = open_questions(rules, request, found)
        case = Case(request, rules.low_confidence, found)
        asked = await self._ask(rules, case, questions, agent)
        case.model_was_there = asked.report.status in _REAL
        findings = asked.findings if case.model_was_there else {}
        elements = [decide(element, case, found.get(element.id), findings) for element in rules.elements]
        missing = sum(question.id not in findings for question in questions)
        result = CheckResult(
            status=_status(case, missing),
            elements=elements,
            score=score_of(elements),
            totals=totals_of(elements),
            rule_set=rules.name,
            rule_set_version=rules.version,
            model=asked.report.model if findings else None,
            backend=asked.report.backend if findings else None,
            prompt_version=asked.prompt_version if findings else None,
            reason=asked.report.error,
        )
        return Outcome(result, asked.report.model_copy(update={"seconds": perf_counter() - started}))

    async def _ask(
        self,
        rules: RuleSet,
        case: Case,
        questions: Sequence[Question],
        agent: NamedAgent | None,
    ) -> JudgeOutcome:
        if case.is_empty:
            return JudgeOutcome({}, _report(StageStatus.SKIPPED, error="no transcript"))
        if not case.request.model:
            return JudgeOutcome({}, _report(StageStatus.SKIPPED, error="the language model is not asked for"))
        if not questions:
            return JudgeOutcome({}, _report(StageStatus.OK, backend=RULES))
        judge = self._judge
        if agent is not None and self._agents is not None:
            judge = AgentJudge(self._agents, agent, judge)
        return await judge.judge(rules, case.request, questions)


def open_questions(rules: RuleSet, request: CheckRequest, found: Mapping[str, RuleFinding]) -> list[Question]:
    """What rules have not settled, of the elements that hold for this call."""
    return [
        question
        for element in rules.elements
        if element.when.holds_for(request) and _comes_up(element, found)
        for question in element.questions(request)
        if not _settled(question, found.get(element.id, RuleFinding()))
    ]


def _comes_up(element: Element, found: Mapping[str, RuleFinding]) -> bool:
    return element.only_if is None or bool(found[element.only_if].hits)


def _settled(question: Question, finding: RuleFinding) -> bool:
    return any(hit.part == question.part for hit in finding.hits)


def totals_of(elements: Sequence[ElementResult]) -> CheckTotals:
    count = Counter(element.verdict for element in elements)
    return CheckTotals(
        met=count[Verdict.MET],
        partly_met=count[Verdict.PARTLY_MET],
        unmet=count[Verdict.UNMET],
        suspected=count[Verdict.SUSPECTED],
        not_applicable=count[Verdict.NOT_APPLICABLE],
        not_evaluated=count[Verdict.NOT_EVALUATED],
        needs_human=sum(element.needs_human for element in elements),
    )


def score_of(elements: Sequence[ElementResult]) -> float | None:
    """해당없음 and 판정불가 are not in the denominator; None when nothing else is there."""
    worth = [_WORTH[element.verdict] for element in elements if element.verdict in _WORTH]
    return round(100 * sum(worth) / len(worth), 1) if worth else None


def _status(case: Case, missing: int) -> CheckStatus:
    if case.is_empty:
        return CheckStatus.NOT_EVALUATED
    if not case.model_was_there:
        return CheckStatus.RULES_ONLY
    return CheckStatus.PARTIAL if missing else CheckStatus.COMPLETE


def _report(
    status: StageStatus,
    *,
    backend: str | None = None,
    error: str | None = None,
    error_type: str | None = None,
) -> StageReport:
    return StageReport(
        stage=Stage.ANALYSIS,
        status=status,
        backend=backend,
        error=error,
        error_type=error_type,
    )

"""The external agent as judge of a call: its claims are verified by the same code, and the gateway is its fall-back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chammal_api.check.evidence import find
from chammal_api.check.findings import JudgeOutcome, Judging, ModelFinding
from chammal_api.check.prompts import FIND_SYSTEM, PROMPT_VERSION, fence, plain
from chammal_api.check.rules import Question, RuleSet
from chammal_api.check.windows import Line, lines_of, text_of
from chammal_api.clients.agents import Agents
from chammal_api.clients.named_agent import NamedAgent, ask_agent
from chammal_api.outcome import after, skipped
from chammal_contracts.checks import CheckRequest, Polarity, Utterance, Verdict
from chammal_contracts.stages import Stage, StageReport

CONFIDENCE = 0.6
"""Of whoever a caller names nothing is known."""


class AgentJudge:
    """Asks once, over the whole call. An answer is `{"elements": {id: answer}}`, where an answer is the number of a
    line (0: none) or `{"verdict", "quote"}`, and an id that of an element or of a question, such as `EXP-02/grade`."""

    def __init__(self, agents: Agents, named: NamedAgent, fall_back: Judging) -> None:
        self._agents = agents
        self._named = named
        self._fall_back = fall_back

    async def judge(self, rules: RuleSet, request: CheckRequest, questions: Sequence[Question]) -> JudgeOutcome:
        lines = lines_of(request.utterances)
        if not lines or not questions:
            return JudgeOutcome({}, skipped(Stage.ANALYSIS, "no transcript" if questions else "nothing to ask").report)
        asked = await ask_agent(
            self._agents,
            self._named,
            Stage.ANALYSIS,
            prompt_for(lines, questions),
            text_of(lines),
            lambda answer: read_claims(answer, questions, lines, request.utterances),
        )
        if asked.value is None:
            second = await self._fall_back.judge(rules, request, questions)
            return replace(second, report=after(asked.report, second.report))
        return JudgeOutcome(asked.value, _counted(asked.report, len(asked.value), len(questions)), PROMPT_VERSION)


def prompt_for(lines: Sequence[Line], questions: Sequence[Question]) -> str:
    wanted = "\n".join(f"- {question.id}: {plain(question.looks_for)}" for question in questions)
    shape = json.dumps({"summary": "…", "elements": {one.id: 0 for one in questions[:1]}}, ensure_ascii=False)
    return f"{FIND_SYSTEM}\n\n{fence(lines)}\n\n찾을 내용:\n{wanted}\n\n다음 모양의 JSON으로만 답하십시오: {shape}"


def read_claims(
    answer: object, questions: Sequence[Question], lines: Sequence[Line], utterances: Sequence[Utterance]
) -> dict[str, ModelFinding]:
    """What can be read of each; nothing here is evidence yet. Raises ValueError for an answer without elements."""
    elements = answer.get("elements") if isinstance(answer, dict) else None
    if not isinstance(elements, dict) or not elements:
        raise ValueError("the answer has no elements")
    return findings_of(elements, questions, lines, utterances)


def findings_of(
    claims: Mapping[str, Any], questions: Sequence[Question], lines: Sequence[Line], utterances: Sequence[Utterance]
) -> dict[str, ModelFinding]:
    """By id of question, for those of which something was said that can be read."""
    found = {
        question.id: _claim(claims.get(question.id, claims.get(question.element)), question, lines, utterances)
        for question in questions
    }
    return {name: finding for name, finding in found.items() if finding is not None}


def _claim(
    claim: object, question: Question, lines: Sequence[Line], utterances: Sequence[Utterance]
) -> ModelFinding | None:
    if isinstance(claim, int) and not isinstance(claim, bool):
        if claim == 0:
            return _not_said()
        if not 0 < claim <= len(lines):
            return None
        line = lines[claim - 1]
        return ModelFinding(True, (line.utterance_id,), line.text, CONFIDENCE)
    if not isinstance(claim, dict):
        return None
    verdict, quote = claim.get("verdict"), claim.get("quote")
    must_not = question.polarity is Polarity.MUST_NOT
    if verdict == (Verdict.MET if must_not else Verdict.UNMET):
        return _not_said()
    if verdict != (Verdict.SUSPECTED if must_not else Verdict.MET):
        return None
    words = quote if isinstance(quote, str) else ""
    return ModelFinding(True, tuple(one.id for one in utterances if find(words, one.text)), words, CONFIDENCE)


def _not_said() -> ModelFinding:
    return ModelFinding(False, confidence=CONFIDENCE)


def _counted(report: StageReport, answered: int, asked: int) -> StageReport:
    """Not a failure that would heal: it would say the same again."""
    if answered == asked:
        return report
    return report.model_copy(update={"error": f"the agent said nothing of {asked - answered} of {asked} questions"})

"""What an agent said of a call, whoever the agent was."""

from dataclasses import dataclass

from chammal_api.elements import ShortCheck
from chammal_contracts.transcribe import AgentAnalysis, AgentType, ElementsCheck


@dataclass(frozen=True, slots=True)
class Analysis:
    answer: AgentAnalysis
    agent_type: AgentType
    check: ElementsCheck | None


def read_analysis(answer: object, check: ShortCheck, agent_type: AgentType, model: str | None) -> Analysis:
    """From `{"summary": …, "elements": {id: answer}}`, see `ShortCheck.judge`; `elements` may be missing.

    Raises ValueError when there is no summary to be had: an answer of another shape is no answer.
    """
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")
    summary = answer.get("summary")
    if not isinstance(summary, str) or not summary.strip():
        raise ValueError("the answer has no summary")
    elements = answer.get("elements")
    if elements is not None and not isinstance(elements, dict):
        raise ValueError("the answer's elements are not an object keyed by element id")
    return Analysis(
        AgentAnalysis(summary=summary.strip(), model=model),
        agent_type,
        check.judge(elements) if elements is not None else None,
    )

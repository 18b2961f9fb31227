"""The check of `POST /transcribe`: the rules, evidence and verdicts of `check`, with one question to a model.

Nobody says what is sold there, so a call is taken for a sale of an investment product by telephone, the one kind that
all five elements hold for. Of an element in parts one part is looked for, and its name says which. What a model names
is not asked about a second time; `POST /v1/checks` does that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chammal_api.check.agent_judge import findings_of, prompt_for
from chammal_api.check.keywords import run_rules
from chammal_api.check.prompts import find_messages, find_schema, keyed, object_schema
from chammal_api.check.rules import Element, RuleSet
from chammal_api.check.verdicts import Case, decide
from chammal_api.check.windows import lines_of, text_of
from chammal_api.summary import MAX_PART_CHARACTERS
from chammal_contracts.checks import CallChannel, CheckRequest, ElementResult, ProductType, Utterance, Verdict
from chammal_contracts.transcribe import ElementFinding, ElementsCheck, Finding

ASKED = {"TM-01": "identity", "EXP-02": "loss", "EXP-07": "deadline", "EXP-09": "asked", "SOL-01": None}
"""Elements by id, and the part of each that is looked for. Of another rule set: those of these that it has."""

SUMMARY = "summary에는 통화 내용을 짧은 한국어 한 문장으로 요약하십시오."

_FINDINGS = {
    Verdict.MET: Finding.MET,
    Verdict.PARTLY_MET: Finding.UNMET,
    Verdict.UNMET: Finding.UNMET,
    Verdict.SUSPECTED: Finding.SUSPECTED,
}


def elements_of(rules: RuleSet) -> list[Element]:
    """Each with the one part that is looked for, or with none."""
    cut = [
        (element, tuple(part for part in element.parts if part.id == ASKED[element.id]))
        for element in rules.elements
        if element.id in ASKED and element.when.holds_for(_sale([]))
    ]
    return [
        element.model_copy(update={"parts": parts, "only_if": None})
        for element, parts in cut
        if bool(parts) == bool(element.parts)
    ]


def not_evaluated(elements: Sequence[Element], reason: str) -> ElementsCheck:
    """Every element 판정불가, which is not a pass."""
    return ElementsCheck(
        evaluated=False,
        elements=[
            ElementFinding(id=one.id, name=_name(one), verdict=Finding.NOT_EVALUATED, reason=reason) for one in elements
        ],
    )


class ShortCheck:
    """Of one call. Made beside the event loop: rules read all of it."""

    def __init__(self, rules: RuleSet, utterances: Sequence[Utterance]) -> None:
        request = _sale(utterances)
        self._elements = elements_of(rules)
        self._questions = [question for element in self._elements for question in element.questions(request)]
        self._lines = tuple(lines_of(utterances))
        self._found = run_rules(rules, request)
        self._case = Case(request, rules.low_confidence, self._found)
        self._case.model_was_there = True

    @property
    def text(self) -> str:
        return text_of(self._lines)

    @property
    def prompt(self) -> str:
        """For an agent, which may answer with quotes instead of numbers of lines."""
        return f"{prompt_for(self._lines, self._questions)}\n{SUMMARY}"

    @property
    def messages(self) -> list[dict[str, str]]:
        system, user = find_messages(self._lines, self._questions)
        return [{**system, "content": f"{system['content']}\n{SUMMARY}"}, user]

    @property
    def schema(self) -> dict[str, Any]:
        """The number of a line for each element, 0 for none, and a summary."""
        elements = find_schema(self._lines, self._questions)
        summary = {"type": "string", "minLength": 1, "maxLength": MAX_PART_CHARACTERS}
        return object_schema({"elements": elements, "summary": summary})

    def judge(self, answers: Mapping[str, object]) -> ElementsCheck:
        """By id of element or question, or by short name: the number of a line, or `{"verdict", "quote"}`."""
        named = {question.id: answers[key] for key, question in keyed(self._questions) if key in answers}
        claims = {**answers, **named}
        findings = findings_of(claims, self._questions, self._lines, self._case.request.utterances)
        return ElementsCheck(
            evaluated=True,
            elements=[
                _finding(element, decide(element, self._case, self._found.get(element.id), findings))
                for element in self._elements
            ],
        )


def _sale(utterances: Sequence[Utterance]) -> CheckRequest:
    return CheckRequest(product_type=ProductType.INVESTMENT, channel=CallChannel.PHONE, utterances=list(utterances))


def _finding(element: Element, result: ElementResult) -> ElementFinding:
    return ElementFinding(
        id=element.id,
        name=_name(element),
        verdict=_FINDINGS.get(result.verdict, Finding.NOT_EVALUATED),
        quote=result.evidence[0].quote if result.evidence else None,
        reason=result.reason,
    )


def _name(element: Element) -> str:
    return ": ".join([element.name.ko, *(part.name.ko for part in element.parts)])

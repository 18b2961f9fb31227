"""What rules and the language model found, before any verdict, and the port of whoever asks the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chammal_api.check.rules import Question, RuleSet
from chammal_contracts.checks import CheckRequest, Evidence, Verdict
from chammal_contracts.stages import StageReport


@dataclass(frozen=True, slots=True)
class ModelFinding:
    """The model's answer to one question. Nothing of it is believed before its evidence is verified."""

    said: bool
    utterance_ids: tuple[str, ...] = ()
    quote: str = ""
    """A claim without one is no evidence."""
    confidence: float = 0.5
    saw_all: bool = True
    """False: only the nearest lines of a long call were shown, so that "not said" is no more than "not found there"."""


@dataclass(frozen=True, slots=True)
class JudgeOutcome:
    findings: Mapping[str, ModelFinding]
    """By id of question; one that is missing here got no answer."""
    report: StageReport
    """`dummy` when no question got an answer."""
    prompt_version: str | None = None


class Judging(Protocol):
    """Of judge.Judge. A failed model is a report, not an exception."""

    async def judge(self, rules: RuleSet, request: CheckRequest, questions: Sequence[Question]) -> JudgeOutcome: ...


@dataclass(frozen=True, slots=True)
class RuleHit:
    rule: str
    part: str | None
    evidence: tuple[Evidence, ...]
    speaker_known: bool
    """False where the rule wants a speaker and the transcript does not tell who spoke."""


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """Of one element."""

    hits: tuple[RuleHit, ...] = ()
    cleared: frozenset[str] = frozenset()
    """Ids of utterances where the words stand and the sentence denies them: "원금이 보장되지 않습니다"."""
    verdict: Verdict | None = None
    """Of a rule on metadata, which needs no words."""
    reason: str | None = None

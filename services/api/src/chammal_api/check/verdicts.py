"""From what rules and the model found to a verdict, for one element. Code decides, and nothing is believed unseen.

- A keyword that was found is evidence; one that was not found proves nothing unless the model was there to be asked.
- What the model claims counts only with a quote that is in the call, by a speaker who can have said it.
- A question without an answer leaves its element 판정불가, unless another part of it was said.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from chammal_api.check.evidence import Refusal, Refused, by_id, evidence_of, sentences, verify
from chammal_api.check.findings import ModelFinding, RuleFinding, RuleHit
from chammal_api.check.phrase import has_words, letters_of
from chammal_api.check.rules import Element, Part
from chammal_contracts.checks import (
    CheckRequest,
    ElementResult,
    Evidence,
    Judge,
    Polarity,
    Speaker,
    Utterance,
    Verdict,
)

BY_RULE = 0.9
NO_KEYWORD = 0.6
"""That nothing was said, where a keyword rule is all that looked."""
DENIED = 0.5
"""That nothing was said, where the model names a sentence that denies it."""
IN_DOUBT = 0.7
"""Share of its confidence that a verdict keeps on a doubtful passage, or with an unknown speaker."""
DOUBTFUL_SHARE = 0.2
"""Of the call's letters: when more are doubtful, "it was not said" needs a human."""
ANSWER_WITHIN = 3
"""Utterances after a question in which the customer answers it."""
MAX_EVIDENCE = 8
HUMAN_LOOKS = "사람이 확인해야 하는 항목입니다"


class _State(Enum):
    SAID = auto()
    NOT_SAID = auto()
    UNKNOWN = auto()


@dataclass(slots=True)
class _Seen:
    """What became of one part of an element, or of the whole of one that has no parts."""

    state: _State
    judge: Judge = Judge.NOBODY
    confidence: float = 0.0
    evidence: list[Evidence] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    human: bool = False
    answered: bool = True


class Case:
    """One call, as far as every element needs it."""

    def __init__(self, request: CheckRequest, low_confidence: float, signals: Mapping[str, RuleFinding]) -> None:
        self.request = request
        self.model_was_there = False
        """Only then does it mean anything that something was not found."""
        self.signals = signals
        self.utterances = by_id(request.utterances)
        self._number = {utterance.id: number for number, utterance in enumerate(request.utterances)}
        self._low = low_confidence
        sizes = [(len(letters_of(one.text)), self._is_low(one)) for one in request.utterances if has_words(one.text)]
        doubtful, everything = sum(size for size, low in sizes if low), sum(size for size, _ in sizes)
        self.is_empty = everything == 0
        self.is_doubtful = doubtful > everything * DOUBTFUL_SHARE

    def _is_low(self, utterance: Utterance) -> bool:
        return utterance.confidence is not None and utterance.confidence < self._low

    def doubts(self, evidence: Sequence[Evidence]) -> bool:
        """Whether recognition was unsure of a passage, or right beside it."""
        numbers = {self._number[one.utterance_id] + step for one in evidence for step in (-1, 0, 1)}
        around = [self.request.utterances[n] for n in numbers if 0 <= n < len(self.request.utterances)]
        return any(self._is_low(utterance) for utterance in around)

    def answer_to(self, asked: Evidence, named: Sequence[str]) -> Utterance | None:
        """The customer's turn after a question; one that the model named comes first."""
        at = self._number[asked.utterance_id]
        after = self.request.utterances[at + 1 : at + 1 + ANSWER_WITHIN]
        answers = [one for one in after if one.speaker is not Speaker.AGENT and has_words(one.text)]
        return next((one for one in answers if one.id in named), answers[0] if answers else None)


def decide(
    element: Element, case: Case, rule: RuleFinding | None, findings: Mapping[str, ModelFinding]
) -> ElementResult:
    """`findings` by id of question, for the questions of this element that were answered."""
    rule = rule or RuleFinding()
    if case.is_empty:
        return _result(element, Verdict.NOT_EVALUATED, reason="통화 내용이 없습니다")
    if not element.when.holds_for(case.request):
        return _result(element, Verdict.NOT_APPLICABLE, confidence=1.0)
    if element.metadata is not None:
        return _of_metadata(element, case, rule)
    if element.only_if is not None and not rule.hits and not case.signals[element.only_if].hits:
        if not case.model_was_there:
            return _result(element, Verdict.NOT_EVALUATED, reason="언어모델이 판정하지 않았습니다")
        return _result(
            element, Verdict.NOT_APPLICABLE, confidence=NO_KEYWORD, reason="이 항목이 문제되는 말이 없습니다"
        )
    parts = element.parts_for(case.request)
    seen = {part.id: _look(element, part, case, rule, findings.get(f"{element.id}/{part.id}")) for part in parts}
    if not parts:
        return _decided(element, case, [_look(element, None, case, rule, findings.get(element.id))], [])
    for part in parts:
        if part.needs in seen and seen[part.needs].state is not _State.SAID and seen[part.id].state is _State.SAID:
            seen[part.id] = _Seen(seen[part.needs].state)
    return _decided(element, case, list(seen.values()), parts)


def _look(element: Element, part: Part | None, case: Case, rule: RuleFinding, finding: ModelFinding | None) -> _Seen:
    hits = [hit for hit in rule.hits if part is None or hit.part == part.id]
    if hits:
        return _by_rule(hits)
    if not element.asks_model:
        if case.model_was_there:
            return _Seen(_State.NOT_SAID, Judge.RULE, NO_KEYWORD, reasons=["정해진 표현이 없었습니다"], human=True)
        return _Seen(_State.UNKNOWN, reasons=["정해진 표현이 없는 것만으로는 판정하지 않습니다"])
    if finding is None:
        return _Seen(_State.UNKNOWN, reasons=["언어모델의 답이 없습니다"])
    if not finding.said:
        reasons = [] if finding.saw_all else ["통화가 길어 가까운 부분만 살펴보았습니다"]
        return _Seen(_State.NOT_SAID, Judge.MODEL, finding.confidence, reasons=reasons, human=not finding.saw_all)
    return _by_model(element, part, case, rule, finding)


def _by_rule(hits: Sequence[RuleHit]) -> _Seen:
    known = any(hit.speaker_known for hit in hits)
    return _Seen(
        _State.SAID,
        Judge.RULE,
        BY_RULE if known else BY_RULE * IN_DOUBT,
        [evidence for hit in hits for evidence in hit.evidence],
        [] if known else ["누가 한 말인지 알 수 없습니다"],
        not known,
    )


def _by_model(element: Element, part: Part | None, case: Case, rule: RuleFinding, finding: ModelFinding) -> _Seen:
    verified = _verified(element, part, case, finding)
    if isinstance(verified, Refused):
        return _Seen(_State.UNKNOWN, reasons=[verified.reason], human=True)
    if element.polarity is Polarity.MUST_NOT and verified.utterance_id in rule.cleared:
        return _Seen(_State.NOT_SAID, Judge.RULE_AND_MODEL, DENIED, reasons=["부정하거나 묻는 말입니다"], human=True)
    unknown = verified.speaker is Speaker.UNKNOWN
    seen = _Seen(_State.SAID, Judge.MODEL, finding.confidence, [verified], human=unknown)
    if unknown:
        seen.reasons.append("누가 한 말인지 알 수 없습니다")
    if element.polarity is Polarity.MUST_CONFIRM and part is None and verified.speaker is not Speaker.CUSTOMER:
        _await_answer(seen, case.answer_to(verified, finding.utterance_ids))
    return seen


def _await_answer(seen: _Seen, answer: Utterance | None) -> None:
    if answer is None:
        seen.answered = False
        seen.reasons.append("고객의 답이 없습니다")
        return
    seen.evidence.append(evidence_of(answer, sentences(answer.text)[0].text, Judge.MODEL))


def _verified(element: Element, part: Part | None, case: Case, finding: ModelFinding) -> Evidence | Refused:
    speakers: tuple[Speaker, ...] = () if element.polarity is Polarity.MUST_CONFIRM else (Speaker.AGENT,)
    if part is not None and part.speaker is not None:
        speakers = (part.speaker,)
    first = verify(finding.quote, finding.utterance_ids, case.utterances, Judge.MODEL, speakers=speakers)
    if isinstance(first, Evidence) or first.why is not Refusal.WRONG_SPEAKER or part is None:
        return first
    for named in (case.utterances[name] for name in finding.utterance_ids if name in case.utterances):
        if has_words(named.text) and named.speaker in (*speakers, Speaker.UNKNOWN):
            return evidence_of(named, named.text, Judge.MODEL)
    return first


def _decided(element: Element, case: Case, seen: Sequence[_Seen], parts: Sequence[Part]) -> ElementResult:
    said = [one for one in seen if one.state is _State.SAID]
    verdict = _verdict(element, seen, said)
    reasons = [reason for one in seen for reason in one.reasons]
    if verdict is Verdict.NOT_EVALUATED:
        return _result(element, verdict, reason=_joined(reasons), human=any(one.human for one in seen))
    told = said or seen
    evidence = _each_once(found for one in said for found in one.evidence)[:MAX_EVIDENCE]
    confidence = min(one.confidence for one in told)
    human = any(one.human for one in seen)
    if verdict is Verdict.PARTLY_MET:
        missing = (
            [part.name.ko for part, one in zip(parts, seen, strict=True) if one.state is not _State.SAID]
            if parts
            else []
        )
        reasons = [f"확인되지 않은 부분: {', '.join(missing)}", *reasons] if missing else reasons
        human = human or any(one.state is _State.UNKNOWN for one in seen)
    if verdict is Verdict.SUSPECTED and (why := _for_a_person(element, said)) is not None:
        human = True
        reasons.append(why)
    if case.doubts(evidence) if evidence else case.is_doubtful:
        human, confidence = True, confidence * IN_DOUBT
        reasons.append("음성 인식의 신뢰도가 낮은 구간입니다")
    return _result(element, verdict, confidence, _joined(reasons), evidence, human, _judge(told))


def _for_a_person(element: Element, said: Sequence[_Seen]) -> str | None:
    """Why a suspicion is only that until a person has looked; None where a rule found it and the element allows it."""
    if all(one.judge is Judge.MODEL for one in said):
        return "언어모델만 찾은 위반의심이므로 사람이 확인해야 합니다"
    return HUMAN_LOOKS if element.human else None


def _each_once(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Two rules may find the same words."""
    first: dict[tuple[str, str], Evidence] = {}
    for found in evidence:
        first.setdefault((found.utterance_id, found.quote), found)
    return list(first.values())


def _verdict(element: Element, seen: Sequence[_Seen], said: Sequence[_Seen]) -> Verdict:
    unknown = any(one.state is _State.UNKNOWN for one in seen)
    if element.polarity is Polarity.MUST_NOT:
        return Verdict.SUSPECTED if said else Verdict.NOT_EVALUATED if unknown else Verdict.MET
    if not said:
        return Verdict.NOT_EVALUATED if unknown else Verdict.UNMET
    whole = len(said) == len(seen) and all(one.answered for one in said)
    return Verdict.MET if whole else Verdict.PARTLY_MET


def _of_metadata(element: Element, case: Case, rule: RuleFinding) -> ElementResult:
    verdict = rule.verdict or Verdict.NOT_EVALUATED
    if verdict is Verdict.NOT_EVALUATED:
        return _result(element, verdict, reason=rule.reason)
    excuse = case.signals[element.excused_by].hits if element.excused_by and verdict is Verdict.SUSPECTED else ()
    if excuse:
        reason = _joined([rule.reason or "", "고객이 요청한 연락이라는 말이 있습니다"])
        evidence = [evidence for hit in excuse for evidence in hit.evidence][:MAX_EVIDENCE]
        return _result(element, Verdict.MET, NO_KEYWORD, reason, evidence, True, Judge.METADATA)
    if element.human and verdict is Verdict.SUSPECTED:
        reason = _joined([rule.reason or "", HUMAN_LOOKS])
        return _result(element, verdict, 1.0, reason, human=True, judge=Judge.METADATA)
    return _result(element, verdict, 1.0, rule.reason, judge=Judge.METADATA)


def _judge(told: Sequence[_Seen]) -> Judge:
    judges = {one.judge for one in told}
    return judges.pop() if len(judges) == 1 else Judge.RULE_AND_MODEL


def _joined(reasons: Sequence[str]) -> str | None:
    return ". ".join(dict.fromkeys(reason for reason in reasons if reason)) or None


def _result(
    element: Element,
    verdict: Verdict,
    confidence: float = 0.0,
    reason: str | None = None,
    evidence: Sequence[Evidence] = (),
    human: bool = False,
    judge: Judge = Judge.NOBODY,
) -> ElementResult:
    return ElementResult(
        id=element.id,
        name=element.name.ko,
        article=element.article,
        polarity=element.polarity,
        mode=element.mode,
        severity=element.severity,
        verdict=verdict,
        confidence=round(min(1.0, max(0.0, confidence)), 3),
        needs_human=human,
        needs_legal_review=element.needs_legal_review,
        judge=judge,
        reason=reason,
        evidence=list(evidence),
    )

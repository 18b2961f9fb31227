"""The 불완전판매 (mis-selling) check: what goes in, and a verdict with its evidence for every element.

It reports a suspicion (위반의심), never a finding of law. 판정불가 (not evaluated) is not a pass.
"""

import datetime as dt
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

MAX_UTTERANCES = 20_000
MAX_UTTERANCE_CHARACTERS = 4_000


class ProductType(StrEnum):
    """The four kinds of 금융소비자보호법 제3조."""

    DEPOSIT = "예금성"
    LOAN = "대출성"
    INVESTMENT = "투자성"
    INSURANCE = "보장성"


class CallChannel(StrEnum):
    """How the customer was reached. Some elements hold for calls by telephone alone."""

    PHONE = "phone"
    FACE_TO_FACE = "face_to_face"
    VIDEO = "video"


class CustomerType(StrEnum):
    ORDINARY = "일반"
    PROFESSIONAL = "전문"


class Speaker(StrEnum):
    AGENT = "agent"
    CUSTOMER = "customer"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    MET = "충족"
    PARTLY_MET = "부분충족"
    UNMET = "미충족"
    SUSPECTED = "위반의심"
    NOT_APPLICABLE = "해당없음"
    NOT_EVALUATED = "판정불가"


class Polarity(StrEnum):
    MUST_SAY = "must_say"
    MUST_CONFIRM = "must_confirm"
    """Must be said, and answered by the customer."""
    MUST_NOT = "must_not"


class ElementMode(StrEnum):
    RULE = "rule"
    METADATA = "metadata"
    """A rule on what is known of the call, such as its hour; no word of it is read."""
    LLM = "llm"
    HYBRID = "hybrid"
    """Rules first; the language model judges what they leave open."""


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Judge(StrEnum):
    """Who came to a verdict."""

    RULE = "rule"
    METADATA = "metadata"
    MODEL = "model"
    RULE_AND_MODEL = "rule_and_model"
    NOBODY = "nobody"


class CheckStatus(StrEnum):
    COMPLETE = "complete"
    """Every element that holds for the call was judged by all that it needs."""
    PARTIAL = "partial"
    """Some groups of elements got no answer from the model; these are judged by rules alone, or 판정불가."""
    RULES_ONLY = "rules_only"
    """No answer of a model at all: keyword hits are reported, and a missing keyword is never 미충족."""
    NOT_EVALUATED = "not_evaluated"
    """No transcript, or an empty one: every element is 판정불가."""


class Utterance(BaseModel):
    """One turn of one speaker; seconds from the beginning of the call."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=64)
    speaker: Speaker = Speaker.UNKNOWN
    start: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    end: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    text: str = Field(max_length=MAX_UTTERANCE_CHARACTERS)
    confidence: float | None = Field(default=None, ge=0, le=1)
    """Of the recognition; a verdict that rests on a doubtful passage needs a human."""


class CheckRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    product_type: ProductType
    channel: CallChannel = CallChannel.PHONE
    started_at: dt.datetime | None = None
    """With its offset from UTC; one without is taken for Korean time. Unknown: TM-03 is 판정불가."""
    customer_type: CustomerType | None = None
    utterances: Annotated[list[Utterance], Field(max_length=MAX_UTTERANCES)]
    rule_set: str | None = Field(default=None, max_length=64)
    """Default: the configured one."""
    model: bool = True
    """Whether the language model is asked; without it the check is `rules_only`."""

    @field_validator("utterances")
    @classmethod
    def _ids_differ(cls, value: list[Utterance]) -> list[Utterance]:
        seen: set[str] = set()
        for utterance in value:
            if utterance.id in seen:
                raise ValueError(f"two utterances have the id {utterance.id!r}: evidence names its utterance by it")
            seen.add(utterance.id)
        return value


class Evidence(BaseModel):
    """A quote that code has found in the utterance named."""

    utterance_id: str
    speaker: Speaker
    start: float | None = None
    end: float | None = None
    quote: str
    source: Judge
    rule: str | None = None
    """Id of the keyword rule that matched."""
    confidence: float | None = None
    """Of the recognition of this utterance."""


class ElementResult(BaseModel):
    id: str
    name: str
    article: str
    polarity: Polarity
    mode: ElementMode
    severity: Severity
    verdict: Verdict
    confidence: float = Field(ge=0, le=1)
    needs_human: bool = False
    needs_legal_review: bool = False
    """The mapping to the law goes deeper than the text that it was made from."""
    judge: Judge = Judge.NOBODY
    reason: str | None = None
    """Why it is 판정불가, or needs a human; in the rule set's language."""
    evidence: list[Evidence] = []


class CheckTotals(BaseModel):
    """Counted by code. 해당없음 and 판정불가 are not in the denominator."""

    met: int = 0
    partly_met: int = 0
    unmet: int = 0
    suspected: int = 0
    not_applicable: int = 0
    not_evaluated: int = 0
    needs_human: int = 0


class CheckResult(BaseModel):
    status: CheckStatus
    elements: list[ElementResult]
    score: float | None = Field(default=None, ge=0, le=100)
    """Share of what was judged that is 충족 (부분충족 counts half), 0–100; None when nothing was judged."""
    totals: CheckTotals
    rule_set: str
    rule_set_version: str
    model: str | None = None
    backend: str | None = None
    prompt_version: str | None = None
    reason: str | None = None
    """Why it is not complete."""

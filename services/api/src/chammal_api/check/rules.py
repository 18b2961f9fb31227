"""A rule set as data: elements of a sale, the keyword rules that find them, and what to ask a model about them.

How phrases are written is in `phrase.py`. A rule set that breaks one of these models is refused as a whole.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from chammal_api.check.phrase import compile_phrase
from chammal_contracts.checks import (
    CallChannel,
    CheckRequest,
    CustomerType,
    ElementMode,
    Polarity,
    ProductType,
    Severity,
    Speaker,
)


class MetadataRule(StrEnum):
    NIGHT = "night"
    """The call began between 21:00 and 08:00, Korean time."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def _compiles(phrase: str) -> str:
    compile_phrase(phrase)
    return phrase


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Phrase = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_compiles)]
Phrases = Annotated[tuple[Phrase, ...], Field(min_length=1, max_length=200)]


class Name(_Strict):
    ko: str = Field(min_length=1, max_length=120)
    en: str = Field(min_length=1, max_length=120)


class Applies(_Strict):
    """Where something holds; what is not named holds everywhere."""

    products: frozenset[ProductType] = frozenset(ProductType)
    channels: frozenset[CallChannel] = frozenset(CallChannel)
    customers: frozenset[CustomerType] = frozenset(CustomerType)

    def holds_for(self, request: CheckRequest) -> bool:
        """A customer of unknown type is taken for an ordinary one, whom the law protects more."""
        customer = request.customer_type or CustomerType.ORDINARY
        return request.product_type in self.products and request.channel in self.channels and customer in self.customers


class Nearby(_Strict):
    """Other words near a hit."""

    any: Phrases
    speaker: Speaker | None = None
    within: int = Field(default=3, ge=0, le=50)
    """Utterances before or after; 0: the same one."""
    negatable: bool = False


class KeywordRule(_Strict):
    """Words of one speaker, near one another. All that is set must hold."""

    id: Id
    part: Id | None = None
    """Which part of its element this shows."""
    speaker: Speaker | None = Speaker.AGENT
    """None: anyone. An utterance whose speaker is unknown fits every rule, and then a human must look."""
    any: Phrases | None = None
    all: Annotated[tuple[Phrases, ...], Field(min_length=1, max_length=8)] | None = None
    """One phrase of each group, all within `within` utterances."""
    within: int = Field(default=3, ge=1, le=50)
    """Utterances of that speaker, the first one counted."""
    negatable: bool | None = None
    """Whether a denial in the same clause clears a hit. Default: for must_not alone."""
    unless: Phrases | None = None
    """No hit in a sentence that has one of these."""
    preceded_by: Nearby | None = None
    followed_by: Nearby | None = None
    not_preceded_by: Nearby | None = None
    not_followed_by: Nearby | None = None
    before: Id | None = None
    """A hit must stand before the first hit of this rule or element, if that has one."""
    after: Id | None = None
    """A hit must stand after the first hit of this rule or element, which must have one."""
    in_first: int | None = Field(default=None, ge=1, le=1000)
    """Among that many utterances from the beginning of the call."""
    min_count: int = Field(default=1, ge=1, le=100)
    when: Applies = Applies()

    @model_validator(mode="after")
    def _has_words(self) -> "KeywordRule":
        if (self.any is None) == (self.all is None):
            raise ValueError(f"rule {self.id}: either `any` or `all`")
        return self


class Part(_Strict):
    """What an element consists of; all parts that hold for the call must be there."""

    id: Id
    name: Name
    looks_for: str | None = Field(default=None, min_length=1, max_length=300)
    speaker: Speaker | None = None
    """Who alone can say it. Default: the agent, and either of the two where a customer must confirm."""
    needs: Id | None = None
    """Another part, without which this one counts for nothing: an answer without its question."""
    when: Applies = Applies()


class Question(_Strict):
    """One thing that the model is asked: in which utterances is it said?"""

    id: str
    """`EXP-02`, or `EXP-02/grade` for a part."""
    element: str
    part: str | None
    name: str
    looks_for: str
    polarity: Polarity


class Element(_Strict):
    id: Id
    name: Name
    article: str = Field(min_length=1, max_length=120)
    mode: ElementMode
    polarity: Polarity
    severity: Severity
    needs_legal_review: bool = False
    human: bool = False
    """A suspicion always needs a human, whoever came to it."""
    when: Applies = Applies()
    only_if: Id | None = None
    """A signal without which the element does not come up in a call."""
    excused_by: Id | None = None
    """A signal that makes what must not be lawful: a customer who asked to be called at night. A human must look."""
    looks_for: str | None = Field(default=None, min_length=1, max_length=300)
    """What the model is asked to find, in the language of the calls."""
    metadata: MetadataRule | None = None
    parts: Annotated[tuple[Part, ...], Field(max_length=8)] = ()
    rules: Annotated[tuple[KeywordRule, ...], Field(max_length=50)] = ()

    @property
    def asks_model(self) -> bool:
        return self.mode in (ElementMode.LLM, ElementMode.HYBRID)

    def parts_for(self, request: CheckRequest) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.when.holds_for(request))

    def questions(self, request: CheckRequest) -> Iterator[Question]:
        """One for each part that holds for the call, or one for the whole."""
        if not self.asks_model:
            return
        parts = self.parts_for(request)
        for part in parts:
            yield self._question(f"{self.id}/{part.id}", part.id, part.name.ko, part.looks_for)
        if not parts:
            yield self._question(self.id, None, self.name.ko, self.looks_for)

    def _question(self, question_id: str, part: str | None, name: str, looks_for: str | None) -> Question:
        return Question(
            id=question_id, element=self.id, part=part, name=name, looks_for=looks_for or "", polarity=self.polarity
        )

    @model_validator(mode="after")
    def _is_whole(self) -> "Element":
        if (self.mode is ElementMode.METADATA) != (self.metadata is not None):
            raise ValueError(f"{self.id}: the mode metadata and a metadata rule go together")
        if (self.mode in (ElementMode.RULE, ElementMode.HYBRID)) != bool(self.rules):
            raise ValueError(f"{self.id}: the modes rule and hybrid have keyword rules, the others have none")
        asked: list[Any] = list(self.parts) or [self]
        if self.asks_model and not all(one.looks_for for one in asked):
            raise ValueError(f"{self.id}: the model must be told what to look for, in each part")
        if self.parts and self.polarity is Polarity.MUST_NOT:
            raise ValueError(f"{self.id}: what must not be said has no parts")
        known = {part.id for part in self.parts}
        for rule in self.rules:
            if (rule.part not in known) if self.parts else (rule.part is not None):
                raise ValueError(f"{self.id}: rule {rule.id} names no part of it")
        for part in self.parts:
            if part.needs is not None and part.needs not in known - {part.id}:
                raise ValueError(f"{self.id}: part {part.id} needs {part.needs}, which is no other part of it")
        return self


class Negation(_Strict):
    """How a language denies. Looked for behind and before a phrase, within its clause."""

    after: tuple[Phrase, ...] = ()
    before: tuple[Phrase, ...] = ()
    clause_ends: tuple[Phrase, ...] = ()
    """Endings that close a clause where the transcript has no punctuation."""
    unclaimed: tuple[Phrase, ...] = ()
    """Anywhere in a sentence they show that it reports, warns or wishes, so that nothing of what must not be said is
    claimed in it."""


class RuleSet(_Strict):
    name: Id
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$")
    title: Name
    language: str = Field(default="ko", max_length=16)
    source: str = Field(default="", max_length=600)
    low_confidence: float = Field(default=0.5, ge=0, le=1)
    """Recognition below this needs a human."""
    negation: Negation = Negation()
    signals: tuple[KeywordRule, ...] = ()
    """Rules of no element, for `before` and `after`."""
    elements: Annotated[tuple[Element, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _names_fit(self) -> "RuleSet":
        rules = [*self.signals, *(rule for element in self.elements for rule in element.rules)]
        ids = Counter([element.id for element in self.elements] + [rule.id for rule in rules])
        twice = sorted(name for name, count in ids.items() if count > 1)
        if twice:
            raise ValueError(f"ids that are there twice: {', '.join(twice)}")
        for rule in rules:
            for other in (rule.before, rule.after):
                if other is not None and (other not in ids or other == rule.id):
                    raise ValueError(f"rule {rule.id} refers to {other}, which is no other rule or element")
        signals = {signal.id for signal in self.signals}
        for element in self.elements:
            for signal in (element.only_if, element.excused_by):
                if signal is not None and signal not in signals:
                    raise ValueError(f"{element.id}: {signal} is no signal")
        return self

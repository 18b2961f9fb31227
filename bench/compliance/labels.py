"""The scripted calls and their labels.

A line of `said` is `A: words {TM-01 EXP-05~ EXP-10?}`: A is the agent, C the customer; the braces name the elements
that the words show. `~`: only a part of what the law asks for. `?`: experts could differ, so the element is not scored
in this call. An element that no line names was not said (or not violated). Labelled by the text of the law, without
sight of the rule file; the calls of the test split are for measuring alone, those of blind were until their first run.
"""

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from chammal_contracts.checks import CallChannel, CheckRequest, CustomerType, ProductType, Speaker, Utterance, Verdict

CALLS = Path(__file__).parent / "calls"
SYLLABLES_A_SECOND = 6.0
PAUSE_SECONDS = 0.5

_LINE = re.compile(r"(?P<who>[AC]): (?P<text>[^{}]+?)(?: \{(?P<marks>[^{}]+)\})?")
_MARK = re.compile(r"(?P<element>[A-Z]+-\d\d)(?P<how>[~?]?)")
_SPEAKERS = {"A": Speaker.AGENT, "C": Speaker.CUSTOMER}

PHONE = frozenset({"TM-01", "TM-02", "TM-03"})
ORDINARY_ONLY = frozenset({"TM-02", "SUIT-02", "SUIT-03", "APPR-01", *(f"EXP-0{n}" for n in range(1, 10))})
"""Acts 17, 18, 19, 21-2① and 46 speak of 일반금융소비자."""
MUST_NOT = frozenset(
    {"TM-03", "SUIT-03", "EXP-10", "UNF-01", "UNF-02", "SOL-01", "SOL-02", "SOL-03", "SOL-04", "ADV-01"}
)
_D, _L, _I, _P = ProductType.DEPOSIT, ProductType.LOAN, ProductType.INVESTMENT, ProductType.INSURANCE
PRODUCTS = {
    **dict.fromkeys(("TM-01", "TM-02", "TM-03", "EXP-01", "EXP-08", "EXP-09", "EXP-10"), frozenset(ProductType)),
    **dict.fromkeys(("SOL-01", "SOL-02", "ADV-01"), frozenset(ProductType)),
    **dict.fromkeys(("SUIT-01", "SUIT-02", "SUIT-03", "APPR-01", "EXP-07"), frozenset({_L, _I, _P})),
    **dict.fromkeys(("EXP-02", "EXP-03", "SOL-04"), frozenset({_I})),
    **dict.fromkeys(("EXP-04", "SOL-03"), frozenset({_P})),
    **dict.fromkeys(("EXP-06", "UNF-01", "UNF-02"), frozenset({_L})),
    "EXP-05": frozenset({_D}),
}
ELEMENTS = tuple(sorted(PRODUCTS))
NIGHT_STARTS, NIGHT_ENDS = dt.time(21), dt.time(8)


class Split(StrEnum):
    DEV = "dev"
    TEST = "test"
    FRESH = "fresh"
    """Written before its author had seen the rules, their keywords or any result of the check; tuned on since."""
    BLIND = "blind"
    """Likewise, by two more authors, after the rules were mended on the fresh calls; tuned on since its first run."""
    BLIND_C = "blind_c"
    """Likewise, by a fourth author, later still; nothing was tuned on it."""


class Truth(StrEnum):
    """What a label says of one element in one call; said and violated are what precision and recall count."""

    SAID = "said"
    PARTLY = "partly"
    NOT_SAID = "not_said"
    VIOLATED = "violated"
    CLEAN = "clean"
    NOT_APPLICABLE = "not_applicable"
    ARGUABLE = "arguable"

    @property
    def positive(self) -> bool:
        return self in (Truth.SAID, Truth.PARTLY, Truth.VIOLATED)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that is right; None where experts could differ."""
        return _VERDICTS[self]


_VERDICTS = {
    Truth.SAID: Verdict.MET,
    Truth.PARTLY: Verdict.PARTLY_MET,
    Truth.NOT_SAID: Verdict.UNMET,
    Truth.VIOLATED: Verdict.SUSPECTED,
    Truth.CLEAN: Verdict.MET,
    Truth.NOT_APPLICABLE: Verdict.NOT_APPLICABLE,
    Truth.ARGUABLE: None,
}


@dataclass(frozen=True, slots=True)
class Label:
    truth: Truth
    utterance_ids: frozenset[str] = frozenset()
    """Those that show it; none where nothing was said, or where the hour of the call shows it."""


class _Script(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    split: Split
    product: ProductType
    channel: CallChannel = CallChannel.PHONE
    started_at: dt.datetime
    customer: CustomerType
    about: str
    applies: list[str] = []
    """APPR-01 holds only where the customer asked for a product that does not suit."""
    night_was_asked_for: bool = False
    """Act 21-2③: a call at night that the customer asked for is none."""
    said: str


@dataclass(frozen=True, slots=True)
class LabelledCall:
    id: str
    split: Split
    about: str
    request: CheckRequest
    labels: dict[str, Label]


def load(split: Split | None = None) -> list[LabelledCall]:
    scripts = [
        _Script.model_validate(entry)
        for path in sorted(CALLS.glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
    return [_labelled(script) for script in scripts if split in (None, script.split)]


def _labelled(script: _Script) -> LabelledCall:
    utterances: list[Utterance] = []
    marks: dict[str, list[tuple[str, str]]] = {}
    at = 1.0
    for number, line in enumerate(script.said.splitlines(), start=1):
        told = _LINE.fullmatch(line)
        if told is None:
            raise ValueError(f"{script.id}: no speaker or a stray brace in line {number}: {line}")
        end = at + max(0.6, len(told["text"].replace(" ", "")) / SYLLABLES_A_SECOND)
        speaker = _SPEAKERS[told["who"]]
        utterances.append(
            Utterance(id=f"u{number}", speaker=speaker, start=round(at, 2), end=round(end, 2), text=told["text"])
        )
        at = end + PAUSE_SECONDS
        for mark in (told["marks"] or "").split():
            parts = _MARK.fullmatch(mark)
            if parts is None or parts["element"] not in PRODUCTS:
                raise ValueError(f"{script.id}: {mark} in line {number} is no mark")
            marks.setdefault(parts["element"], []).append((f"u{number}", parts["how"]))
    request = CheckRequest(
        product_type=script.product,
        channel=script.channel,
        started_at=script.started_at,
        customer_type=script.customer,
        utterances=utterances,
    )
    labels = {element: _label(element, script, marks.get(element, [])) for element in ELEMENTS}
    return LabelledCall(script.id, script.split, script.about, request, labels)


def _label(element: str, script: _Script, marks: list[tuple[str, str]]) -> Label:
    if not _applies(element, script):
        if marks:
            raise ValueError(f"{script.id}: {element} is marked and does not apply")
        return Label(Truth.NOT_APPLICABLE)
    if element == "TM-03":
        return Label(Truth.VIOLATED if _at_night(script) else Truth.CLEAN)
    sure = [(utterance, how) for utterance, how in marks if how != "?"]
    if marks and not sure:
        return Label(Truth.ARGUABLE)
    shown = frozenset(utterance for utterance, _ in sure)
    if element in MUST_NOT:
        return Label(Truth.VIOLATED if sure else Truth.CLEAN, shown)
    if not sure:
        return Label(Truth.NOT_SAID)
    return Label(Truth.SAID if any(how == "" for _, how in sure) else Truth.PARTLY, shown)


def _applies(element: str, script: _Script) -> bool:
    if element == "APPR-01" and element not in script.applies:
        return False
    if element in PHONE and script.channel is not CallChannel.PHONE:
        return False
    if element in ORDINARY_ONLY and script.customer is CustomerType.PROFESSIONAL:
        return False
    return script.product in PRODUCTS[element]


def _at_night(script: _Script) -> bool:
    began = script.started_at.time()
    return (began >= NIGHT_STARTS or began < NIGHT_ENDS) and not script.night_was_asked_for

"""What the store of calls takes and gives beside the wire's own models."""

import datetime as dt
from dataclasses import dataclass

from chammal_contracts.calls import CallEvent, CallStatus, HealingState, Priority
from chammal_contracts.checks import ProductType, Verdict
from chammal_contracts.stages import Stage


class KeyReused(Exception):
    """The same Idempotency-Key came with another body before."""


class CallGone(LookupError):
    """The call was deleted while it was being worked on: whoever works on it stops."""


class RecordingGone(Exception):
    """The recording was deleted between being kept and being accepted: the sender sends it again."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    key: str
    body_sha256: str
    """Of all that the sender sent: metadata and recording."""
    owner: str = ""
    """Id of the API key: two senders may use the same words."""


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls to list; every field narrows it."""

    status: CallStatus | None = None
    healing: HealingState | None = None
    product_type: ProductType | None = None
    agent_id: str | None = None
    reference: str | None = None
    element: str | None = None
    """Alone: calls in which this element is 위반의심 or 미충족."""
    verdict: Verdict | None = None
    """Of `element`, or of any."""
    needs_human: bool | None = None
    since: dt.datetime | None = None
    """When the call began, or was accepted where that is not known; inclusive."""
    until: dt.datetime | None = None
    """Exclusive."""
    text: str | None = None
    """Words of the masked transcript, as they stand; case and white space do not count."""


@dataclass(frozen=True, slots=True)
class Heal:
    """A call that waits for a missing stage."""

    call_id: str
    missing: tuple[Stage, ...]
    attempts: int
    since: dt.datetime
    priority: Priority


@dataclass(frozen=True, slots=True)
class Unqueued:
    """A run that was asked for, and of which no workflow is known to have been started."""

    call_id: str
    run: int
    priority: Priority
    only: frozenset[Stage] | None
    """None: all stages."""


@dataclass(frozen=True, slots=True)
class Counts:
    queued: int
    running: int
    healing: int
    """Calls that wait for a missing stage, or are getting it."""
    oldest_heal_seconds: float
    """How long the oldest of them has waited; 0: none does."""
    stored_bytes: int
    """Of the recordings, each counted once."""


@dataclass(frozen=True, slots=True)
class Change:
    number: int
    """Grows with every change of any call."""
    event: CallEvent

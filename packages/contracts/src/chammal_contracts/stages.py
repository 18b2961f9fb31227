"""The degradation contract: every stage of every answer reports what happened to it."""

from enum import StrEnum

from pydantic import BaseModel, Field


class Stage(StrEnum):
    STT = "stt"
    ANALYSIS = "analysis"
    SUMMARY = "summary"
    TTS = "tts"
    EMOTION = "emotion"
    GUIDE = "guide"
    REPLY = "reply"
    """The language model's part in a conversation."""


class StageStatus(StrEnum):
    OK = "ok"
    """The first-choice backend answered."""
    DEGRADED = "degraded"
    """A real answer, from a fall-back backend."""
    DUMMY = "dummy"
    """No real answer; the content is null or a marked template."""
    SKIPPED = "skipped"
    """Not attempted: not asked for, or its input is missing."""


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class FailureType(StrEnum):
    """Why a call to an upstream brought no usable answer."""

    CONNECT_ERROR = "connect_error"
    CONNECT_TIMEOUT = "connect_timeout"
    READ_TIMEOUT = "read_timeout"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CONNECTION_LOST = "connection_lost"
    HTTP_ERROR = "http_error"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INVALID_RESPONSE = "invalid_response"
    RESPONSE_TOO_LARGE = "response_too_large"
    MISCONFIGURED = "misconfigured"
    """401, 402, 403, 407 or 421: our key or our address is wrong, which neither the caller nor a retry can mend."""
    BREAKER_OPEN = "breaker_open"
    BULKHEAD_FULL = "bulkhead_full"
    REJECTED = "rejected"
    """The upstream answered 4xx: this request is at fault, not the upstream."""


class AttemptOutcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    REFUSED = "refused"
    """Not sent: the breaker was open or the bulkhead full."""
    SUPERSEDED = "superseded"
    """Cancelled, because the other of two equal tries had answered."""


class Attempt(BaseModel):
    """One try at one backend."""

    backend: str
    outcome: AttemptOutcome
    error_type: FailureType | None = None
    http_status: int | None = None
    seconds: float = Field(ge=0)


class StageReport(BaseModel):
    """What one stage of an answer did, and why it did not do more."""

    stage: Stage
    status: StageStatus
    backend: str | None = None
    model: str | None = None
    attempts: list[Attempt] = []
    breaker: BreakerState | None = None
    seconds: float = Field(default=0.0, ge=0)
    error_type: str | None = None
    error: str | None = None

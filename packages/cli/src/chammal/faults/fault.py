"""What can go wrong with an upstream, as data."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(StrEnum):
    REFUSE = "refuse"
    """Connections are refused, and those that are open are reset: as if the process were gone."""
    BLACK_HOLE = "black_hole"
    """Connections are neither accepted nor refused: the queue of the listening socket is full."""
    HANG = "hang"
    """Accepts and never answers."""
    HANG_AFTER_HEADERS = "hang_after_headers"
    SLOW = "slow"
    """The request waits `seconds` before it goes on."""
    DRIP = "drip"
    """The head of the answer comes at once, and its body a byte each `seconds`."""
    RESET = "reset"
    """A reset in the middle of the body."""
    TRUNCATED = "truncated"
    """The connection is closed in the middle of the body, politely."""
    STATUS = "status"
    """The proxy answers `status` itself, with `retry_after`."""
    INVALID_JSON = "invalid_json"
    WRONG_SHAPE = "wrong_shape"
    """Valid, and not what was asked for."""
    EMPTY_BODY = "empty_body"
    NAN = "nan"
    """The right shape with NaN where numbers belong."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    """200 and a web page."""
    HUGE_BODY = "huge_body"
    """A well-formed answer that does not end."""
    GARBAGE = "garbage"
    """Random bytes instead of HTTP."""


class Fault(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    status: int | None = Field(default=None, ge=200, le=599)
    """Of STATUS; unset, 500."""
    retry_after: float | None = Field(default=None, ge=0)
    """Seconds; sent with STATUS."""
    seconds: float | None = Field(default=None, ge=0)
    """Of SLOW (unset, 5) and DRIP (unset, 0.1)."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of the requests, or with REFUSE of the connections."""
    seconds_left: float | None = Field(default=None, gt=0)
    """It heals by itself after so many seconds, so that whoever set it may die."""

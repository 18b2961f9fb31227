"""How one upstream may be called. All times are seconds."""

from pydantic import BaseModel, ConfigDict, Field

from chammal_kit.breaker import BreakerPolicy
from chammal_kit.retry import RetryPolicy


class Timeouts(BaseModel):
    model_config = ConfigDict(frozen=True)

    connect: float = Field(default=1.0, gt=0)
    first_byte: float = Field(default=10.0, gt=0)
    """From the last byte sent to the first byte of the answer's body."""
    idle: float = Field(default=5.0, gt=0)
    """Between two pieces of the answer; also how long the upstream may take no more of the request."""
    total: float = Field(default=30.0, gt=0)
    """The whole call with its retry, whatever trickles in meanwhile."""


class UpstreamPolicy(BaseModel):
    model_config = ConfigDict(frozen=True)

    timeouts: Timeouts = Timeouts()
    max_response_bytes: int = Field(default=16 * 1024 * 1024, gt=0)
    concurrency: int = Field(default=16, ge=1)
    queue: int = Field(default=16, ge=0)
    queue_seconds: float = Field(default=0.5, ge=0)
    breaker: BreakerPolicy = BreakerPolicy()
    retry: RetryPolicy = RetryPolicy()

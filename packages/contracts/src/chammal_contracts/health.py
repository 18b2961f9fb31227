"""Bodies of /health and /ready."""

from typing import Literal

from pydantic import BaseModel

from chammal_contracts.stages import BreakerState


class Health(BaseModel):
    """The process is up. Says nothing of its model or upstreams: that is /ready."""

    status: Literal["ok"] = "ok"
    service: str
    version: str


class Check(BaseModel):
    """One thing that a service needs: a model, an upstream."""

    name: str
    ready: bool
    reason: str | None = None
    hint: str | None = None
    """What to do about it, for example the command that fetches the model."""
    breaker: BreakerState | None = None
    seconds: float | None = None


class Readiness(BaseModel):
    ready: bool
    degraded: list[str] = []
    """Names of checks that fail while the service can still do part of its work."""
    checks: list[Check] = []

"""`GET /v1/failures`: totals since the process started."""

from enum import StrEnum

from pydantic import BaseModel

from chammal_contracts.stages import BreakerState, Stage


class Environment(StrEnum):
    """What a mesh is for. Drills are refused in production."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class StageFailures(BaseModel):
    stage: Stage
    total: int
    failures: int
    rate: float
    """failures / total; 0 when nothing was attempted. Skipped stages are in neither."""
    breaker: BreakerState | None = None


class FailureReport(BaseModel):
    since: str
    """When the process began counting, ISO 8601 in UTC."""
    environment: Environment
    stages: list[StageFailures]

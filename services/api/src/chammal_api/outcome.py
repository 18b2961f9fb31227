"""What one stage brought: its value, if any, and its report."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from chammal_contracts.stages import Stage, StageReport, StageStatus

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    value: T | None
    report: StageReport
    status_code: int = 503
    """The HTTP status that this failure has for a caller who asked for errors instead of dummies."""
    retry_after: float | None = None

    @property
    def failed(self) -> bool:
        return self.report.status is StageStatus.DUMMY


def skipped(stage: Stage, reason: str) -> Outcome[T]:
    return Outcome(None, StageReport(stage=stage, status=StageStatus.SKIPPED, error=reason))

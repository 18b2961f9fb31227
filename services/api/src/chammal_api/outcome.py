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


def after(first: StageReport, second: StageReport) -> StageReport:
    """The second's answer, with the first's attempts on record: real, but not the first choice."""
    return second.model_copy(
        update={
            "status": StageStatus.DEGRADED if second.status is StageStatus.OK else second.status,
            "attempts": first.attempts + second.attempts,
            "seconds": first.seconds + second.seconds,
            "error": "; ".join(error for error in (first.error, second.error) if error) or None,
            "error_type": second.error_type or first.error_type,
        }
    )

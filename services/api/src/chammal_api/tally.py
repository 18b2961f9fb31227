"""Counts what became of every stage: as metrics, and as totals for `GET /v1/failures`."""

from collections import Counter as Totals
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram

from chammal_contracts.failures import Environment, FailureReport, StageFailures
from chammal_contracts.stages import BreakerState, Stage, StageReport, StageStatus
from chammal_kit.metrics import STAGE_BUCKETS

COUNTED = (Stage.STT, Stage.ANALYSIS, Stage.TTS, Stage.SUMMARY)


class AnswerOutcome(StrEnum):
    OK = "ok"
    PARTIAL = "partial"
    DUMMY = "dummy"
    REJECTED = "rejected"
    ERROR = "error"


class LiveOutcome(StrEnum):
    FINISHED = "finished"
    ENDED = "ended"
    """By stt, which told the caller why."""
    ABANDONED = "abandoned"
    TOO_SLOW = "too_slow"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    SHUTDOWN = "shutdown"
    ERROR = "error"


STAGES = Counter("chammal_stage_total", "Stages of answers, by what became of them.", ["stage", "status"])
SECONDS = Histogram("chammal_stage_seconds", "Seconds a stage took.", ["stage"], buckets=STAGE_BUCKETS)
ANSWERS = Counter("chammal_answers_total", "Answers of POST /transcribe, by outcome.", ["outcome"])
LIVE_SESSIONS = Gauge("chammal_live_sessions", "Live sessions that pass through now.")
LIVE_ENDINGS = Counter("chammal_live_endings_total", "Live sessions that ended, by how.", ["outcome"])

for _stage in COUNTED:
    SECONDS.labels(_stage)
    for _status in StageStatus:
        STAGES.labels(_stage, _status)
for _outcome in AnswerOutcome:
    ANSWERS.labels(_outcome)
for _ending in LiveOutcome:
    LIVE_ENDINGS.labels(_ending)


class Tally:
    """Totals since the process started."""

    def __init__(self) -> None:
        self._since = datetime.now(UTC)
        self._counts: Totals[tuple[Stage, StageStatus]] = Totals()

    def count(self, reports: Iterable[StageReport]) -> None:
        for report in reports:
            self._counts[report.stage, report.status] += 1
            STAGES.labels(report.stage, report.status).inc()
            if report.status is not StageStatus.SKIPPED:
                SECONDS.labels(report.stage).observe(report.seconds)

    def report(self, breakers: dict[Stage, BreakerState], environment: Environment) -> FailureReport:
        return FailureReport(
            since=self._since.isoformat(timespec="seconds"),
            environment=environment,
            stages=[self._of(stage, breakers.get(stage)) for stage in COUNTED],
        )

    def _of(self, stage: Stage, breaker: BreakerState | None) -> StageFailures:
        total = sum(self._counts[stage, status] for status in StageStatus if status is not StageStatus.SKIPPED)
        failures = self._counts[stage, StageStatus.DUMMY]
        rate = failures / total if total else 0.0
        return StageFailures(stage=stage, total=total, failures=failures, rate=rate, breaker=breaker)


def outcome_of(reports: Iterable[StageReport]) -> AnswerOutcome:
    statuses = {report.status for report in reports}
    if StageStatus.DUMMY not in statuses:
        return AnswerOutcome.PARTIAL if StageStatus.DEGRADED in statuses else AnswerOutcome.OK
    real = statuses & {StageStatus.OK, StageStatus.DEGRADED}
    return AnswerOutcome.PARTIAL if real else AnswerOutcome.DUMMY

"""Many questions to one upstream, and the one report of a stage that they make."""

from collections import Counter
from typing import Any

from chammal_api.clients.completion import Completed, gateway_attempts
from chammal_api.clients.failure import describe, failed_stage
from chammal_api.outcome import Outcome
from chammal_contracts.stages import Attempt, Stage, StageReport, StageStatus
from chammal_kit.upstream import Upstream, UpstreamError

_Kind = tuple[str, str, str | None, int | None]


class Tally:
    """Attempts of one kind are one row, with their seconds added: a long call takes hundreds of questions."""

    def __init__(self, stage: Stage, upstream: Upstream) -> None:
        self._stage = stage
        self._upstream = upstream
        self._rows: dict[_Kind, Attempt] = {}
        self._answers: Counter[tuple[str, str]] = Counter()
        self._fallbacks = 0
        self._failures: list[UpstreamError] = []
        self._seconds = 0.0

    def answered(self, done: Completed[Any]) -> None:
        self._answers[done.provenance.backend, done.provenance.model] += 1
        self._fallbacks += not done.first_choice
        self._note(done.provenance.attempts, done.seconds)

    def failed(self, error: UpstreamError) -> None:
        self._failures.append(error)
        self._note(gateway_attempts(error) or error.attempts, error.seconds)

    def report(self, answered: int, asked: int, what: str) -> StageReport:
        """`ok`: all from the first choice. `degraded`: a fall-back answered some, or, with an `error_type`, some got
        no answer. `dummy`: none got one. Seconds are those of all questions, side by side or not."""
        if not answered and self._failures:
            failed: Outcome[None] = failed_stage(self._stage, self._failures[-1], self._upstream.breaker.state)
            return failed.report.model_copy(update={"attempts": list(self._rows.values()), "seconds": self._seconds})
        (backend, model), _ = self._answers.most_common(1)[0]
        complete = answered == asked
        last = self._failures[-1] if self._failures and not complete else None
        return StageReport(
            stage=self._stage,
            status=StageStatus.OK if complete and not self._fallbacks else StageStatus.DEGRADED,
            backend=backend,
            model=model,
            attempts=list(self._rows.values()),
            breaker=self._upstream.breaker.state,
            seconds=self._seconds,
            error_type=last.failure if last else None,
            error=f"{asked - answered} of {asked} {what} got no answer: {describe(last)}" if last else None,
        )

    def _note(self, attempts: list[Attempt], seconds: float) -> None:
        self._seconds += seconds
        for attempt in attempts:
            kind = (attempt.backend, attempt.outcome, attempt.error_type, attempt.http_status)
            row = self._rows.get(kind)
            self._rows[kind] = row.model_copy(update={"seconds": row.seconds + attempt.seconds}) if row else attempt

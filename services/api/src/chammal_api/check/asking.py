"""Many questions to one upstream, a few at a time, and the one report of a stage that they make."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, TypeVar

from chammal_api.clients.completion import Completed, complete, gateway_attempts
from chammal_api.clients.failure import describe, failed_stage, read_problem
from chammal_api.outcome import Outcome
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Attempt, BreakerState, FailureType, Stage, StageReport, StageStatus
from chammal_kit.deadline import current_deadline
from chammal_kit.upstream import Upstream, UpstreamError
from chammal_kit.upstream_errors import Evidence, without_frames

T = TypeVar("T")

TIMES_OVERLOADED = 8
"""How often a question that is too much for the gateway just now is put again, when it says."""
_WAIT_SECONDS = (1.0, 30.0)
"""Where it does not say when, and at most."""
RULES = "rules"
"""The backend of a stage that no model was needed for."""
_Kind = tuple[str, str, str | None, int | None]


class Asker:
    """Shared by all stages that ask: the gateway refuses what is too much at once, and people wait there too."""

    def __init__(self, upstream: Upstream, at_once: int = 3) -> None:
        self.upstream = upstream
        self._places = asyncio.Semaphore(at_once)
        self._probe = asyncio.Semaphore(1)

    async def ask(
        self,
        messages: list[dict[str, str]],
        schema: dict[str, Any],
        *,
        name: str,
        max_tokens: int,
        parse: Callable[[Any], T],
    ) -> Completed[T]:
        """Within the task's deadline. Raises UpstreamError."""
        for left in reversed(range(TIMES_OVERLOADED)):
            await self._enter(self._places)
            try:
                async with self._alone_in_doubt():
                    return await complete(
                        self.upstream,
                        messages,
                        schema,
                        name=name,
                        max_tokens=max_tokens,
                        parse=lambda told, _: parse(told),
                    )
            except UpstreamError as error:
                wait = _wait_for(error)
                if wait is None or not left:
                    raise
            finally:
                self._places.release()
            await asyncio.sleep(wait)
        raise AssertionError("unreachable: the last try answers or raises")

    @asynccontextmanager
    async def _alone_in_doubt(self) -> AsyncIterator[None]:
        """A breaker that is not closed lets one through: the others wait for what becomes of it, and do not fail."""
        if self._is_trusted():
            yield
            return
        await self._enter(self._probe)
        free = self._is_trusted()
        if free:
            self._probe.release()
        try:
            yield
        finally:
            if not free:
                self._probe.release()

    def _is_trusted(self) -> bool:
        return self.upstream.breaker.state is BreakerState.CLOSED

    async def _enter(self, places: asyncio.Semaphore) -> None:
        until = current_deadline()
        try:
            async with asyncio.timeout(None if until is None else until.remaining()):
                await places.acquire()
        except TimeoutError:
            late = FailureType.DEADLINE_EXCEEDED
            raise UpstreamError(self.upstream.name, late, "no time left to ask", evidence=Evidence.NONE) from None


def _wait_for(error: UpstreamError) -> float | None:
    """Seconds until it is worth another try; None where it is not, or where there is no time for it."""
    problem = read_problem(error.body)
    if problem is None or problem.code is not ErrorCode.OVERLOADED:
        return None
    usual, most = _WAIT_SECONDS
    wait = min(usual if error.retry_after is None else error.retry_after, most)
    until = current_deadline()
    return wait if until is None or wait < until.remaining() else None


class Tally:
    """Attempts of one kind are one row, with their seconds added: a long call takes hundreds of questions. The stage's
    own seconds are those that a clock on the wall shows from here on, since questions are asked side by side."""

    def __init__(self, stage: Stage, upstream: Upstream, clock: Callable[[], float] = perf_counter) -> None:
        self._stage = stage
        self._upstream = upstream
        self._clock = clock
        self._began = clock()
        self._rows: dict[_Kind, Attempt] = {}
        self._answers: Counter[tuple[str, str]] = Counter()
        self._fallbacks = 0
        self._failures: list[UpstreamError] = []

    def answered(self, done: Completed[Any]) -> None:
        self._answers[done.provenance.backend, done.provenance.model] += 1
        self._fallbacks += not done.first_choice
        self._note(done.provenance.attempts)

    def failed(self, error: UpstreamError) -> None:
        self._failures.append(without_frames(error))
        self._note(gateway_attempts(error) or error.attempts)

    def report(self, answered: int, asked: int, what: str) -> StageReport:
        """`ok`: all from the first choice, or nothing had to be asked. `degraded`: a fall-back answered some, or, with
        an `error_type`, some got no answer. `dummy`: nobody answered anything that was asked."""
        seconds = self._clock() - self._began
        if self._failures and not (answered and self._answers):
            failed: Outcome[None] = failed_stage(self._stage, self._failures[-1], self._upstream.breaker.state)
            return failed.report.model_copy(update={"attempts": list(self._rows.values()), "seconds": seconds})
        if not self._answers:
            return StageReport(stage=self._stage, status=StageStatus.OK, backend=RULES, seconds=seconds)
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
            seconds=seconds,
            error_type=last.failure if last else None,
            error=f"{asked - answered} of {asked} {what} got no answer: {describe(last)}" if last else None,
        )

    def _note(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            kind = (attempt.backend, attempt.outcome, attempt.error_type, attempt.http_status)
            row = self._rows.get(kind)
            self._rows[kind] = row.model_copy(update={"seconds": row.seconds + attempt.seconds}) if row else attempt

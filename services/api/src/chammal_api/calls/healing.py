"""Calls that lack a stage get it by themselves, when the service that failed is back.

`Prognosis` says after each run whether a call waits, is healed, or is given up. `Healer` starts the runs: gated by the
breaker of the service that a stage needs, at a limited rate, and at once when that breaker closes.
"""

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from chammal_api.calls.call_metrics import HEALS
from chammal_api.calls.stages import NO_TRANSCRIPT
from chammal_contracts.calls import Call, Healing, HealingState
from chammal_contracts.stages import BreakerState, Stage, StageReport, StageStatus
from chammal_kit.breaker import BreakerTransition
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.upstream_events import UpstreamEvent

TICK_SECONDS = 2.0
LOOKED_AT = 256
"""Waiting calls that one look takes from the store."""
_SHIFT = 16
"""Doublings, beyond which the wait is the longest anyhow."""
_FAR = dt.timedelta(days=36_500)

log = component_logger("Healing")


@dataclass(frozen=True, slots=True)
class HealPolicy:
    degraded: bool = True
    """Whether a fall-back's answer is tried for again."""
    first_seconds: float = 5.0
    longest_seconds: float = 600.0
    """Of the wait, which doubles with every attempt."""
    attempts: int = 200
    degraded_attempts: int = 8
    """For calls that lack nothing but a first-choice answer."""
    days: float = 7.0
    per_minute: float = 60.0
    """Runs that are started in a minute."""


class Prognosis:
    def __init__(self, policy: HealPolicy, jitter: Callable[[], float] = random.random) -> None:
        self._policy = policy
        self._jitter = jitter

    def healing_after(self, call: Call, now: dt.datetime) -> Healing:
        """From the reports of the run that has just ended, and what was known before it."""
        before = call.healing
        missing = [report for report in call.stages if self._is_missing(report)]
        if any(report.stage is Stage.STT for report in missing):
            missing += [report for report in call.stages if report.error == NO_TRANSCRIPT]
        if not missing:
            return self._well(before)
        again = before.since is not None and before.state is not HealingState.HEALED
        attempts, since = (before.attempts, before.since or now) if again else (0, now)
        reason = _reason(missing)
        names = [str(report.stage) for report in missing]
        if why := self._hopeless(missing, attempts, now - since):
            return Healing(
                state=HealingState.GIVEN_UP, missing=names, attempts=attempts, since=since, reason=f"{why}: {reason}"
            )
        return Healing(
            state=HealingState.WAITING,
            missing=names,
            attempts=attempts,
            since=since,
            next_at=now + dt.timedelta(seconds=self._wait(attempts)),
            reason=reason,
        )

    def _well(self, before: Healing) -> Healing:
        if before.since is None:
            return Healing()
        return Healing(state=HealingState.HEALED, attempts=before.attempts, since=before.since)

    def _is_missing(self, report: StageReport) -> bool:
        return report.status is StageStatus.DUMMY or (self._policy.degraded and report.status is StageStatus.DEGRADED)

    def _hopeless(self, missing: Sequence[StageReport], attempts: int, age: dt.timedelta) -> str | None:
        policy = self._policy
        if age >= dt.timedelta(days=policy.days):
            return f"{policy.days:g} days are over"
        only_degraded = all(report.status is StageStatus.DEGRADED for report in missing)
        limit = policy.degraded_attempts if only_degraded else policy.attempts
        return f"tried {attempts} times" if attempts >= limit else None

    def _wait(self, attempts: int) -> float:
        policy = self._policy
        longest = min(policy.longest_seconds, policy.first_seconds * 2.0 ** min(attempts, _SHIFT))
        return longest * (0.5 + 0.5 * self._jitter())


def _reason(missing: Sequence[StageReport]) -> str:
    return "; ".join(
        f"{one.stage}: {one.error_type or one.status}" for one in missing if one.status is not StageStatus.SKIPPED
    )


class Gate(Protocol):
    """What is needed of the breaker before a service."""

    @property
    def state(self) -> BreakerState: ...
    @property
    def retry_after(self) -> float: ...


class Patient(Protocol):
    """A call that waits to heal."""

    @property
    def call_id(self) -> str: ...
    @property
    def missing(self) -> tuple[Stage, ...]: ...


class Ward(Protocol):
    async def waiting_to_heal(self, limit: int, now: dt.datetime) -> Sequence[Patient]:
        """Those whose next attempt is due, longest waiting first."""

    async def claim_heal(self, call_id: str, now: dt.datetime) -> int | None:
        """The next run's number; None where another process was first."""


class Starts(Protocol):
    async def heal(self, call_id: str, run: int, missing: Sequence[Stage]) -> None: ...


class Closings:
    """Whether a breaker has closed since one last looked. It is an observer of upstreams."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def __call__(self, event: UpstreamEvent) -> None:
        if isinstance(event, BreakerTransition) and event.target is BreakerState.CLOSED:
            self._closed.set()

    def take(self) -> bool:
        closed = self._closed.is_set()
        self._closed.clear()
        return closed

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return


class Healer:
    def __init__(
        self,
        ward: Ward,
        flow: Starts,
        gates: Mapping[Stage, Gate],
        policy: HealPolicy,
        closings: Closings,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        """`gates` name for every stage the breaker of the service that it needs most."""
        self._ward = ward
        self._flow = flow
        self._gates = gates
        self._policy = policy
        self._now = now
        self._closings = closings
        self._allowance = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.tick(TICK_SECONDS)
            except (SQLAlchemyError, Problem) as error:  # the problem is a disk that is full
                log.error("the calls that wait to heal cannot be read: %s", type(error).__name__)
            await self._closings.wait(TICK_SECONDS)

    async def tick(self, seconds: float) -> int:
        """One look, `seconds` after the last. Returns how many runs were started."""
        at_once = self._closings.take()
        rate = self._policy.per_minute / 60
        self._allowance = min(self._allowance + rate * seconds, max(1.0, rate * TICK_SECONDS))
        if self._allowance < 1:
            return 0
        now = self._now()
        due = await self._ward.waiting_to_heal(LOOKED_AT, now + _FAR if at_once else now)
        started = 0
        canaries: set[int] = set()
        for patient in due:
            if self._allowance < 1:
                break
            if self._may_go(patient, canaries) and await self._start(patient, now):
                self._allowance -= 1
                started += 1
        return started

    async def _start(self, patient: Patient, now: dt.datetime) -> bool:
        run = await self._ward.claim_heal(patient.call_id, now)
        if run is None:
            return False
        HEALS.inc()
        log.info("%s: run %d brings %s", patient.call_id, run, ", ".join(patient.missing))
        await self._flow.heal(patient.call_id, run, patient.missing)
        return True

    def _may_go(self, patient: Patient, canaries: set[int]) -> bool:
        """All that it needs are there; or one that may be probed is, by this call alone."""
        first = (Stage.STT,) if Stage.STT in patient.missing else patient.missing  # the others come after it
        gates = {id(gate): gate for stage in first if (gate := self._gates.get(stage)) is not None}
        doubtful = [key for key, gate in gates.items() if gate.state is not BreakerState.CLOSED]
        if any(key in canaries or gates[key].retry_after > 0 for key in doubtful):
            return False
        canaries.update(doubtful)
        return True

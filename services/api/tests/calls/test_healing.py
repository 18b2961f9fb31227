import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from tests import sample_calls

from chammal_api.calls.healing import Closings, Healer, HealPolicy, Prognosis
from chammal_api.calls.stages import NO_PRODUCT, NO_TRANSCRIPT
from chammal_contracts.calls import Call, CallStatus, Healing, HealingState
from chammal_contracts.stages import BreakerState, Stage, StageReport, StageStatus
from chammal_kit.breaker import BreakerPolicy, CircuitBreaker

pytestmark = pytest.mark.anyio

NOW = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)
OK, DUMMY, DEGRADED, SKIPPED = StageStatus.OK, StageStatus.DUMMY, StageStatus.DEGRADED, StageStatus.SKIPPED


def report(stage: Stage, status: StageStatus, error: str | None = None) -> StageReport:
    return StageReport(stage=stage, status=status, error=error, error_type="connect_error" if status is DUMMY else None)


def call(*stages: StageReport, healing: Healing | None = None) -> Call:
    return sample_calls.call(
        "a", CallStatus.RUNNING, created_at=NOW, updated_at=NOW, stages=list(stages), healing=healing or Healing()
    )


def foretell(*stages: StageReport, healing: Healing | None = None, now: dt.datetime = NOW, **policy: float) -> Healing:
    return Prognosis(HealPolicy(**policy), jitter=lambda: 1.0).healing_after(call(*stages, healing=healing), now)  # type: ignore[arg-type]


def waited(attempts: int, days: float = 0.0) -> Healing:
    since = NOW - dt.timedelta(days=days)
    return Healing(state=HealingState.RUNNING, missing=["analysis"], attempts=attempts, since=since)


def test_a_call_that_has_all_does_not_wait() -> None:
    assert foretell(report(Stage.STT, OK), report(Stage.ANALYSIS, SKIPPED, NO_PRODUCT)) == Healing()


def test_a_dummy_stage_waits_and_says_why() -> None:
    healing = foretell(report(Stage.STT, OK), report(Stage.ANALYSIS, DUMMY), report(Stage.SUMMARY, OK))
    assert healing.state is HealingState.WAITING
    assert healing.missing == ["analysis"]
    assert healing.since == NOW
    assert healing.next_at == NOW + dt.timedelta(seconds=5)
    assert healing.reason == "analysis: connect_error"


def test_without_a_transcript_all_that_comes_of_it_is_missing() -> None:
    skipped = report(Stage.ANALYSIS, SKIPPED, NO_TRANSCRIPT), report(Stage.SUMMARY, SKIPPED, NO_TRANSCRIPT)
    assert foretell(report(Stage.STT, DUMMY), *skipped).missing == ["stt", "analysis", "summary"]


def test_a_fall_backs_answer_is_tried_for_again_only_where_it_is_wanted() -> None:
    degraded = report(Stage.ANALYSIS, DEGRADED)
    assert foretell(degraded).state is HealingState.WAITING
    assert foretell(degraded, degraded=False) == Healing()


def test_the_wait_doubles_up_to_the_longest() -> None:
    dummy = report(Stage.ANALYSIS, DUMMY)
    waits = [foretell(dummy, healing=waited(attempts)).next_at for attempts in (1, 2, 3, 50)]
    assert [(at - NOW).total_seconds() for at in waits if at] == [10, 20, 40, 600]


def test_a_healed_call_is_healed_and_keeps_its_history() -> None:
    healing = foretell(report(Stage.ANALYSIS, OK), healing=waited(3, days=1))
    assert (healing.state, healing.attempts, healing.missing) == (HealingState.HEALED, 3, [])
    assert healing.since == NOW - dt.timedelta(days=1)


@pytest.mark.parametrize(("attempts", "days", "why"), [(1, 8.0, "7 days are over"), (200, 1.0, "tried 200 times")])
def test_a_call_is_given_up_with_its_reason(attempts: int, days: float, why: str) -> None:
    healing = foretell(report(Stage.ANALYSIS, DUMMY), healing=waited(attempts, days))
    assert healing.state is HealingState.GIVEN_UP
    assert healing.next_at is None
    assert healing.reason == f"{why}: analysis: connect_error"


def test_a_first_choice_is_not_waited_for_as_long_as_an_answer() -> None:
    assert foretell(report(Stage.ANALYSIS, DEGRADED), healing=waited(8)).state is HealingState.GIVEN_UP
    assert foretell(report(Stage.ANALYSIS, DUMMY), healing=waited(8)).state is HealingState.WAITING


@dataclass(frozen=True)
class Waiting:
    call_id: str
    missing: tuple[Stage, ...]
    next_at: dt.datetime = NOW


@dataclass
class Ward:
    waiting: list[Waiting]
    healed: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    async def waiting_to_heal(self, limit: int, now: dt.datetime) -> Sequence[Waiting]:
        return [one for one in self.waiting if one.next_at <= now and one.call_id not in self.healed][:limit]

    async def claim_heal(self, call_id: str, now: dt.datetime) -> int | None:
        return None if call_id in self.taken else 2

    async def heal(self, call_id: str, run: int, missing: Sequence[Stage]) -> None:
        self.healed.append(call_id)


@dataclass
class Gate:
    state: BreakerState = BreakerState.CLOSED
    retry_after: float = 0.0


def patients(count: int, *missing: Stage) -> list[Waiting]:
    return [Waiting(f"{missing[0]}{number}", missing) for number in range(count)]


def healer(ward: Ward, stt: Gate, llm: Gate, closings: Closings | None = None, per_minute: float = 6000) -> Healer:
    gates = {Stage.STT: stt, Stage.ANALYSIS: llm, Stage.SUMMARY: llm}
    return Healer(ward, ward, gates, HealPolicy(per_minute=per_minute), closings or Closings(), lambda: NOW)


async def test_calls_heal_when_the_breaker_of_what_they_miss_is_closed() -> None:
    ward = Ward(patients(2, Stage.ANALYSIS) + patients(2, Stage.STT))
    await healer(ward, Gate(BreakerState.OPEN, 5), Gate()).tick(2)
    assert ward.healed == ["analysis0", "analysis1"]


async def test_what_needs_a_transcript_first_waits_for_nothing_else() -> None:
    ward = Ward([Waiting("a", (Stage.STT, Stage.ANALYSIS, Stage.SUMMARY))])
    await healer(ward, Gate(), Gate(BreakerState.OPEN, 5)).tick(2)
    assert ward.healed == ["a"]


async def test_one_canary_goes_where_a_breaker_may_be_probed() -> None:
    ward = Ward(patients(5, Stage.ANALYSIS))
    await healer(ward, Gate(), Gate(BreakerState.OPEN, 0)).tick(2)
    assert ward.healed == ["analysis0"]


async def test_the_backlog_is_drained_at_a_limited_rate() -> None:
    ward = Ward(patients(100, Stage.ANALYSIS))
    one = healer(ward, Gate(), Gate(), per_minute=60)
    started = [await one.tick(2) for _ in range(5)]
    assert started == [2, 2, 2, 2, 2]


async def test_a_call_that_another_process_heals_costs_nothing() -> None:
    ward = Ward(patients(3, Stage.ANALYSIS), taken={"analysis0", "analysis1"})
    assert await healer(ward, Gate(), Gate(), per_minute=30).tick(2) == 1
    assert ward.healed == ["analysis2"]


async def test_a_breaker_that_closes_lets_those_go_whose_time_has_not_come() -> None:
    ward, closings, clock = Ward([Waiting("a", (Stage.ANALYSIS,), NOW + dt.timedelta(hours=1))]), Closings(), [0.0]
    breaker = CircuitBreaker("llm", BreakerPolicy(failures_in_a_row=1), clock=lambda: clock[0], observers=[closings])
    breaker.admit().fail()
    one = healer(ward, Gate(), breaker, closings)  # type: ignore[arg-type]
    assert await one.tick(2) == 0
    clock[0] = 10.0
    breaker.admit().succeed()
    await closings.wait(5)
    assert await one.tick(2) == 1
    assert await one.tick(2) == 0

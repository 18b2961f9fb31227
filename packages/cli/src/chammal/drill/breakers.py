"""The breakers of a mesh as they are seen from outside: the api's own are asked for, those behind it are told of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chammal_contracts.failures import FailureReport
from chammal_contracts.stages import BreakerState, Stage

UPSTREAMS = {Stage.STT: "stt", Stage.ANALYSIS: "llm-gateway", Stage.TTS: "tts"}
"""Which breaker of the api stands before which stage."""


@dataclass(frozen=True, slots=True)
class Change:
    """`at` is seconds since the drill began."""

    upstream: str
    before: BreakerState
    now: BreakerState
    at: float


class Breakers:
    def __init__(self, changed: Callable[[Change], None]) -> None:
        self._changed = changed
        self._asked_for: set[str] = set()
        self.states: dict[str, BreakerState] = {}
        self.changes: list[Change] = []

    def reported(self, report: FailureReport, at: float) -> None:
        """By `GET /v1/failures`."""
        states = {UPSTREAMS[row.stage]: row.breaker for row in report.stages if row.breaker and row.stage in UPSTREAMS}
        self._asked_for |= states.keys()
        self._take(states, at)

    def told(self, states: Mapping[str, BreakerState], at: float) -> None:
        """By the attempts in an answer, which is older than a report: of those that are asked for it says nothing."""
        self._take({name: state for name, state in states.items() if name not in self._asked_for}, at)

    @property
    def all_closed(self) -> bool:
        return all(state is BreakerState.CLOSED for state in self.states.values())

    def _take(self, states: Mapping[str, BreakerState], at: float) -> None:
        for name, state in states.items():
            before = self.states.get(name, BreakerState.CLOSED)
            self.states[name] = state
            if state is not before:
                change = Change(name, before, state, at)
                self.changes.append(change)
                self._changed(change)

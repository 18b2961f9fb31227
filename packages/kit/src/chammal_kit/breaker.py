"""A circuit breaker without I/O: it is told the time and the outcomes, and says whether a call may go.

States are frozen; their methods return the next state. `CircuitBreaker` holds the current one, and a generation
that moves with every transition: what a call reports counts only in the generation that admitted it.

    permit = breaker.admit()          # raises BreakerOpen
    permit.succeed(slow=…) | permit.fail(retry_after, slow=…) | permit.cancel()
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, NoReturn, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from chammal_contracts.stages import BreakerState


class BreakerPolicy(BaseModel):
    """When to open and when to try again. Times are seconds."""

    model_config = ConfigDict(frozen=True)

    failures_in_a_row: int = Field(default=5, ge=1)
    failure_rate: float = Field(default=0.5, gt=0, le=1)
    slow_rate: float = Field(default=0.8, gt=0, le=1)
    slow_share: float = Field(default=0.5, gt=0)
    """A call is slow when its first byte takes more than this share of the longest wait for it. From 1 on none is."""
    minimum_calls: int = Field(default=10, ge=1)
    """The rates are looked at only when the window holds at least so many calls."""
    window_seconds: int = Field(default=30, ge=1)
    open_seconds: float = Field(default=5.0, gt=0)
    open_seconds_max: float = Field(default=60.0, gt=0)
    """Each failed probe doubles the wait, up to this."""
    jitter: float = Field(default=0.2, ge=0, lt=1)
    """A doubled wait is shortened by up to this share, so that many processes do not probe together."""
    retry_after_max: float = Field(default=300.0, gt=0)
    """The longest Retry-After that is believed."""
    probes: int = Field(default=1, ge=1)
    """How many calls may run at once when half-open."""
    successes_to_close: int = Field(default=1, ge=1)


class BreakerReason(StrEnum):
    """Why a breaker changed its state."""

    FAILURES_IN_A_ROW = "failures_in_a_row"
    FAILURE_RATE = "failure_rate"
    SLOW_RATE = "slow_rate"
    WAIT_OVER = "wait_over"
    HEALTH_OK = "health_ok"
    HEALTH_FAILED = "health_failed"
    PROBE_FAILED = "probe_failed"
    PROBE_SLOW = "probe_slow"
    PROBES_SUCCEEDED = "probes_succeeded"


@dataclass(frozen=True, slots=True)
class BreakerTransition:
    name: str
    source: BreakerState
    target: BreakerState
    reason: BreakerReason
    at: float
    """On the breaker's own monotonic clock."""
    wait: float = 0.0
    """Seconds that it stays open, when it opens."""


@dataclass(frozen=True, slots=True)
class BreakerRejection:
    name: str
    state: BreakerState
    retry_after: float
    at: float


BreakerEvent = BreakerTransition | BreakerRejection
BreakerObserver = Callable[[BreakerEvent], None]
"""Called in line, so it must be quick and must not raise."""


class BreakerOpen(Exception):
    """The call was not let through. `retry_after` is in seconds."""

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(name, retry_after)
        self.name = name
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"breaker {self.name} is open for another {self.retry_after:.1f} s"


class Permit(Protocol):
    """The right to make one call. The first outcome reported counts, later ones are ignored."""

    def succeed(self, *, slow: bool = False) -> None: ...
    def fail(self, retry_after: float | None = None, *, slow: bool = False) -> None: ...
    def cancel(self) -> None: ...


class Breaker(Protocol):
    """What callers need of a breaker; another one can stand behind it."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> BreakerState: ...
    @property
    def retry_after(self) -> float: ...
    def admit(self) -> Permit: ...
    def health_ok(self) -> None: ...
    def health_failed(self) -> None: ...


HALF_OPEN_RETRY_AFTER = 1.0
"""What those are told who come while a probe runs; nobody knows when it ends."""


class Closed(NamedTuple):  # one is made for every call, and a frozen dataclass takes twice as long
    """All calls go. Outcomes are counted in buckets of one second: (second, calls, failures, slow calls)."""

    streak: int = 0
    calls: int = 0
    failures: int = 0
    slow: int = 0
    buckets: tuple[tuple[int, int, int, int], ...] = ()

    def record(self, failed: bool, slow: bool, now: float, policy: BreakerPolicy) -> "Closed":
        second = int(now)
        calls, failures, slows, buckets = self.calls + 1, self.failures + failed, self.slow + slow, self.buckets
        if buckets and buckets[-1][0] == second:
            _, so_far, so_far_failed, so_far_slow = buckets[-1]
            buckets = (*buckets[:-1], (second, so_far + 1, so_far_failed + failed, so_far_slow + slow))
        else:
            buckets = (*buckets, (second, 1, int(failed), int(slow)))
        while buckets[0][0] <= second - policy.window_seconds:
            calls -= buckets[0][1]
            failures -= buckets[0][2]
            slows -= buckets[0][3]
            buckets = buckets[1:]
        return Closed(self.streak + 1 if failed else 0, calls, failures, slows, buckets)

    def verdict(self, policy: BreakerPolicy) -> BreakerReason | None:
        if self.streak >= policy.failures_in_a_row:
            return BreakerReason.FAILURES_IN_A_ROW
        if self.calls < policy.minimum_calls:
            return None
        if self.failures >= policy.failure_rate * self.calls:
            return BreakerReason.FAILURE_RATE
        return BreakerReason.SLOW_RATE if self.slow >= policy.slow_rate * self.calls else None

    def trip(self, now: float, wait: float) -> "Open":
        return Open(until=now + wait, spell=0)


@dataclass(frozen=True, slots=True)
class Open:
    """No call goes until `until`. `spell` counts the probes that failed since it was last closed."""

    until: float
    spell: int

    def half_open(self) -> "HalfOpen":
        return HalfOpen(spell=self.spell)


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """A few calls go, to see whether it is over."""

    spell: int
    running: int = 0
    successes: int = 0

    def admit(self) -> "HalfOpen":
        return replace(self, running=self.running + 1)

    def release(self) -> "HalfOpen":
        return replace(self, running=self.running - 1)

    def succeed(self, policy: BreakerPolicy) -> "HalfOpen | Closed":
        if self.successes + 1 >= policy.successes_to_close:
            return Closed()
        return replace(self, running=self.running - 1, successes=self.successes + 1)

    def fail(self, now: float, wait: float) -> Open:
        return Open(until=now + wait, spell=self.spell + 1)


State = Closed | Open | HalfOpen
S = TypeVar("S", Closed, Open, HalfOpen)


def kind(state: State) -> BreakerState:
    if isinstance(state, Closed):
        return BreakerState.CLOSED
    return BreakerState.OPEN if isinstance(state, Open) else BreakerState.HALF_OPEN


class CircuitBreaker:
    """The breaker of one upstream, for one event loop. `jitter` gives numbers in [0, 1)."""

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        observers: Sequence[BreakerObserver] = (),
    ) -> None:
        self.name = name
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._jitter = jitter
        self._observers = tuple(observers)
        self._state: State = Closed()
        self._generation = 0

    @property
    def state(self) -> BreakerState:
        """As of the last call: an open breaker turns half-open when the first call after its wait comes."""
        return kind(self._state)

    @property
    def retry_after(self) -> float:
        """Seconds until a call has a chance; 0 when it has one now."""
        state = self._state
        if isinstance(state, Open):
            return max(0.0, state.until - self._clock())
        busy = isinstance(state, HalfOpen) and state.running >= self._policy.probes
        return HALF_OPEN_RETRY_AFTER if busy else 0.0

    def admit(self) -> "_Permit":
        """Raises BreakerOpen. O(1), whatever happened before."""
        state = self._state
        if isinstance(state, Closed):
            return _Permit(self, self._generation)
        now = self._clock()
        if isinstance(state, Open):
            if now < state.until:
                self._reject(state.until - now, now)
            state = self._move(state.half_open(), BreakerReason.WAIT_OVER, now)
        if state.running >= self._policy.probes:
            self._reject(HALF_OPEN_RETRY_AFTER, now)
        self._state = state.admit()
        return _Permit(self, self._generation)

    def health_ok(self) -> None:
        """A health check passed: an open breaker may probe now. Only real calls can close it."""
        if isinstance(self._state, Open):
            self._move(self._state.half_open(), BreakerReason.HEALTH_OK, self._clock())

    def health_failed(self) -> None:
        """A health check has found what calls cannot tell, since callers leave first: that nothing comes."""
        if isinstance(self._state, Closed):
            now, wait = self._clock(), self._wait(0, None)
            self._move(self._state.trip(now, wait), BreakerReason.HEALTH_FAILED, now, wait)

    def settle(self, generation: int, failed: bool | None, retry_after: float | None, slow: bool) -> None:
        """Take the outcome of a call; None is no outcome. Permits call this."""
        if generation != self._generation:
            return
        state, now = self._state, self._clock()
        if isinstance(state, Closed):
            if failed is not None:
                self._count(state.record(failed, slow, now, self._policy), now, retry_after)
        elif isinstance(state, HalfOpen):
            self._weigh(state, failed, now, retry_after, slow)

    def _count(self, state: Closed, now: float, retry_after: float | None) -> None:
        self._state = state
        if reason := state.verdict(self._policy):
            wait = self._wait(0, retry_after)
            self._move(state.trip(now, wait), reason, now, wait)

    def _weigh(self, state: HalfOpen, failed: bool | None, now: float, retry_after: float | None, slow: bool) -> None:
        if failed is None:
            self._state = state.release()
        elif failed or slow:
            wait = self._wait(state.spell + 1, retry_after)
            reason = BreakerReason.PROBE_FAILED if failed else BreakerReason.PROBE_SLOW
            self._move(state.fail(now, wait), reason, now, wait)
        else:
            following = state.succeed(self._policy)
            if isinstance(following, Closed):
                self._move(following, BreakerReason.PROBES_SUCCEEDED, now)
            else:
                self._state = following

    def _wait(self, spell: int, retry_after: float | None) -> float:
        policy = self._policy
        if retry_after is not None and retry_after > 0:
            return min(retry_after, policy.retry_after_max)
        if spell == 0:
            return policy.open_seconds
        doubled = min(policy.open_seconds * 2.0 ** min(spell, 32), max(policy.open_seconds_max, policy.open_seconds))
        return doubled * (1 - policy.jitter * self._jitter())

    def _move(self, target: S, reason: BreakerReason, now: float, wait: float = 0.0) -> S:
        source, self._state = self._state, target
        self._generation += 1
        self._emit(BreakerTransition(self.name, kind(source), kind(target), reason, now, wait))
        return target

    def _reject(self, retry_after: float, now: float) -> NoReturn:
        self._emit(BreakerRejection(self.name, kind(self._state), retry_after, now))
        raise BreakerOpen(self.name, retry_after)

    def _emit(self, event: BreakerEvent) -> None:
        for observe in self._observers:
            observe(event)


class _Permit:
    __slots__ = ("_breaker", "_generation", "_settled")

    def __init__(self, breaker: CircuitBreaker, generation: int) -> None:
        self._breaker = breaker
        self._generation = generation
        self._settled = False

    def succeed(self, *, slow: bool = False) -> None:
        self._settle(False, None, slow)

    def fail(self, retry_after: float | None = None, *, slow: bool = False) -> None:
        self._settle(True, retry_after, slow)

    def cancel(self) -> None:
        self._settle(None, None, False)

    def _settle(self, failed: bool | None, retry_after: float | None, slow: bool) -> None:
        if not self._settled:
            self._settled = True
            self._breaker.settle(self._generation, failed, retry_after, slow)


class NoBreaker:
    """Lets every call go and learns nothing, so that health checks never open the breaker that real calls use."""

    state = BreakerState.CLOSED
    retry_after = 0.0

    def __init__(self, name: str) -> None:
        self.name = name

    def admit(self) -> Permit:
        return self

    def health_ok(self) -> None: ...
    def health_failed(self) -> None: ...
    def succeed(self, *, slow: bool = False) -> None: ...
    def fail(self, retry_after: float | None = None, *, slow: bool = False) -> None: ...
    def cancel(self) -> None: ...

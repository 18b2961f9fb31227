"""At most one retry, and only of what is safe to repeat.

The first try does not pass through tenacity, which costs more processor time than a whole healthy call should.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt

from chammal_contracts.stages import FailureType
from chammal_kit.retry_budget import RetryBudget, RetryBudgetPolicy
from chammal_kit.upstream_errors import Evidence, UpstreamError, without_frames

T = TypeVar("T")

_RETRYABLE = frozenset(
    {FailureType.CONNECT_ERROR, FailureType.CONNECTION_LOST, FailureType.RATE_LIMITED, FailureType.UNAVAILABLE}
)
_NEVER_SENT = frozenset({FailureType.BREAKER_OPEN, FailureType.BULKHEAD_FULL})
_RETRYABLE_STATUSES = frozenset({425, 429, 502, 503, 504})


class RetryPolicy(BaseModel):
    model_config = ConfigDict(frozen=True)

    retries: int = Field(default=1, ge=0, le=1)
    wait_min: float = Field(default=0.1, ge=0)
    wait_max: float = Field(default=2.0, ge=0)
    """The wait is drawn evenly between the two, in seconds. An upstream that asks for longer is not retried: its
    caller is told how long, and need not hold a connection open meanwhile."""
    budget: RetryBudgetPolicy = RetryBudgetPolicy()


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    upstream: str
    failure: FailureType
    wait: float


@dataclass(frozen=True, slots=True)
class RetryRefused:
    """The budget is spent: the failure goes to the caller."""

    upstream: str
    failure: FailureType


RetryEvent = RetryPlanned | RetryRefused


def worth_retrying(error: BaseException | None) -> bool:
    """A read time-out is not: the model is still at work. Nor is the 503 of an upstream that is well, and full."""
    if not isinstance(error, UpstreamError):
        return False
    if error.http_status == 503 and error.evidence is Evidence.NONE:
        return error.is_leaving
    if error.failure is FailureType.DEADLINE_EXCEEDED:
        return False
    return error.http_status in _RETRYABLE_STATUSES or (error.http_status is None and error.failure in _RETRYABLE)


class Retrier:
    """The retry of one upstream; the budget is shared by all its calls."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        budget: RetryBudget | None = None,
        may_go: Callable[[], bool] = lambda: True,
        observe: Callable[[RetryEvent], None] = lambda _: None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = policy
        self._may_go = may_go
        self._observe = observe
        self._draw = draw
        self.budget = budget or RetryBudget(policy.budget)

    async def run(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        repeatable: Callable[[], bool],
        remaining: Callable[[], float],
    ) -> T:
        """`remaining` says how many seconds are left; no wait is begun that would outlast them."""
        try:
            result = await attempt()
        except UpstreamError as error:
            if error.failure not in _NEVER_SENT:
                self.budget.sent()
            if not (self._policy.retries and worth_retrying(error) and repeatable() and self._may_go()):
                raise
            if (error.retry_after or 0.0) > self._policy.wait_max:
                raise
            if not self.budget.take():
                self._observe(RetryRefused(error.upstream, error.failure))
                raise
            return await self._again(attempt, error, remaining)
        self.budget.sent()
        return result

    async def _again(
        self, attempt: Callable[[], Awaitable[T]], first: UpstreamError, remaining: Callable[[], float]
    ) -> T:
        known = [first]
        del first  # an error that its own frames name stays until the next full collection, with all that they hold

        async def replay() -> T:
            if known:
                raise known.pop()
            return await attempt()

        retrying = AsyncRetrying(
            retry=lambda state: worth_retrying(_error(state)),
            wait=self._wait,
            stop=lambda state: (
                stop_after_attempt(1 + self._policy.retries)(state) or state.upcoming_sleep >= remaining()
            ),
            before_sleep=self._announce,
            reraise=True,
        )
        try:
            result: T = await retrying(replay)
        except UpstreamError as last:
            raise without_frames(last) from None
        return result

    def _wait(self, state: RetryCallState) -> float:
        error = _error(state)
        asked = error.retry_after if isinstance(error, UpstreamError) else None
        return max(self._draw(self._policy.wait_min, self._policy.wait_max), asked or 0.0)

    def _announce(self, state: RetryCallState) -> None:
        error = _error(state)
        if isinstance(error, UpstreamError):
            self._observe(RetryPlanned(error.upstream, error.failure, state.upcoming_sleep))


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

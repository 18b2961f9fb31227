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
from chammal_kit.upstream_errors import Evidence, UpstreamError

T = TypeVar("T")

_RETRYABLE = frozenset(
    {FailureType.CONNECT_ERROR, FailureType.CONNECTION_LOST, FailureType.RATE_LIMITED, FailureType.UNAVAILABLE}
)
_RETRYABLE_STATUSES = frozenset({425, 429, 502, 503, 504})


class RetryPolicy(BaseModel):
    model_config = ConfigDict(frozen=True)

    retries: int = Field(default=1, ge=0, le=1)
    wait_min: float = Field(default=0.1, ge=0)
    wait_max: float = Field(default=2.0, ge=0)
    """The wait is drawn evenly between the two, in seconds. An upstream that asks for longer is not retried: its
    caller is told how long, and need not hold a connection open meanwhile."""
    tokens: float = Field(default=10.0, gt=0)
    tokens_per_success: float = Field(default=0.1, ge=0)


class RetryBudget:
    """gRPC A6: a failure takes a token, a success gives back a little, and half of them must be left to retry."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._most = policy.tokens
        self._per_success = policy.tokens_per_success
        self.tokens = policy.tokens

    @property
    def allows(self) -> bool:
        return self.tokens > self._most / 2

    def succeeded(self) -> None:
        self.tokens = min(self._most, self.tokens + self._per_success)

    def failed(self) -> None:
        self.tokens = max(0.0, self.tokens - 1)


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    upstream: str
    failure: FailureType
    wait: float


def worth_retrying(error: BaseException | None) -> bool:
    """A read time-out is not: the model is still at work. Nor is the 503 of an upstream that is well, and full."""
    if not isinstance(error, UpstreamError):
        return False
    if error.http_status == 503 and error.evidence is Evidence.NONE:
        return False
    if error.failure is FailureType.DEADLINE_EXCEEDED:
        return False
    return error.http_status in _RETRYABLE_STATUSES or (error.http_status is None and error.failure in _RETRYABLE)


class Retrier:
    """The retry of one upstream; its budget is shared by all calls."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        may_go: Callable[[], bool] = lambda: True,
        observe: Callable[[RetryPlanned], None] = lambda _: None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = policy
        self._may_go = may_go
        self._observe = observe
        self._draw = draw
        self.budget = RetryBudget(policy)

    async def run(self, attempt: Callable[[], Awaitable[T]], *, repeatable: bool, remaining: Callable[[], float]) -> T:
        """`remaining` says how many seconds are left; no wait is begun that would outlast them."""
        try:
            result = await attempt()
        except UpstreamError as error:
            if not worth_retrying(error):
                raise
            self.budget.failed()
            soon = (error.retry_after or 0.0) <= self._policy.wait_max
            if not (repeatable and soon and self._policy.retries and self.budget.allows and self._may_go()):
                raise
            return await self._again(attempt, error, remaining)
        self.budget.succeeded()
        return result

    async def _again(
        self, attempt: Callable[[], Awaitable[T]], first: UpstreamError, remaining: Callable[[], float]
    ) -> T:
        tries = 0

        async def replay() -> T:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise first
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
        except UpstreamError as error:
            if error is not first and worth_retrying(error):
                self.budget.failed()
            raise
        self.budget.succeeded()
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

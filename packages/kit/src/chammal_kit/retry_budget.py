"""How many second tries an upstream is given: a small share of the calls that it gets anyway.

The calls of the last seconds are counted in buckets of one second, and so are the tries that were added to them. One
more fits while it is at most the share, or the floor, which lets a quiet service try again at all.
"""

import time
from collections import deque
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field


class RetryBudgetPolicy(BaseModel):
    model_config = ConfigDict(frozen=True)

    share: float = Field(default=0.1, ge=0, le=1)
    floor: int = Field(default=3, ge=0)
    """So many fit in a window whatever the share makes of it."""
    seconds: int = Field(default=10, ge=1)
    """Length of the window."""


class RetryBudget:
    """Of one upstream; retries and hedges draw on the same."""

    def __init__(self, policy: RetryBudgetPolicy, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._buckets: deque[list[int]] = deque()
        self._calls = 0
        self._added = 0

    def sent(self) -> None:
        """A call went out for the first time."""
        self._calls += 1
        self._now()[1] += 1

    def take(self) -> bool:
        """Whether one more try fits; if so it is counted."""
        bucket = self._now()
        if self._added + 1 > max(self._policy.floor, self._policy.share * self._calls):
            return False
        self._added += 1
        bucket[2] += 1
        return True

    def _now(self) -> list[int]:
        """The bucket of this second: [second, calls, tries added]."""
        second = int(self._clock())
        buckets = self._buckets
        if buckets and buckets[-1][0] == second:
            return buckets[-1]
        while buckets and buckets[0][0] <= second - self._policy.seconds:
            _, calls, added = buckets.popleft()
            self._calls -= calls
            self._added -= added
        buckets.append([second, 0, 0])
        return buckets[-1]

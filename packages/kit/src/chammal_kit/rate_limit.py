"""A token bucket a caller, kept as one number: the moment at which the bucket is full again (GCRA, ITU-T I.371).

The package `limits` (5.8) was weighed: it has windows and no buckets, forgets callers in a timer thread, and bounds
no memory.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MINUTE = 60.0
_MAX_CALLERS = 20_000
"""Whoever was away longest is forgotten, which gives back a full bucket. About 4 MB."""


@dataclass(frozen=True, slots=True)
class Taken:
    granted: bool
    per_minute: int
    remaining: int
    full_in: float
    """Seconds."""
    retry_after: float
    """Seconds until one request is granted; 0 when it was."""

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-11 has them."""
        told = {
            "RateLimit-Policy": f'"requests";q={self.per_minute};w={MINUTE:.0f}',
            "RateLimit": f'"requests";r={self.remaining};t={math.ceil(self.full_in)}',
        }
        return told if self.granted else told | {"Retry-After": str(math.ceil(self.retry_after))}


class RateLimiter:
    def __init__(
        self,
        per_minute: int,
        burst: int = 0,
        *,
        max_callers: int = _MAX_CALLERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`per_minute` 0: only callers with a rate of their own are limited. `burst` 0: a minute's worth at once."""
        self._per_minute = per_minute
        self._burst = burst
        self._max_callers = max_callers
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, per_minute: int | None = None) -> Taken | None:
        """One request. None where the caller has no limit."""
        rate = per_minute or self._per_minute
        if not rate:
            return None
        seconds_a_request = MINUTE / rate
        size = (self._burst or rate) * seconds_a_request
        now = self._clock()
        empty_for = max(0.0, self._full_at.get(caller, now) - now)
        granted = empty_for + seconds_a_request <= size + 1e-9
        if granted:
            empty_for += seconds_a_request
            self._full_at[caller] = now + empty_for
            self._full_at.move_to_end(caller)
            if len(self._full_at) > self._max_callers:
                self._full_at.popitem(last=False)
        return Taken(
            granted,
            rate,
            remaining=int((size - empty_for) / seconds_a_request + 1e-9),
            full_in=empty_for,
            retry_after=0.0 if granted else empty_for + seconds_a_request - size,
        )

    def __len__(self) -> int:
        return len(self._full_at)

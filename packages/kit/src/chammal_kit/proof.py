"""When something last truly worked."""

import math
import time
from collections.abc import Callable


class Proof:
    """Real work is the best health check: a service that has just done some needs no trial."""

    def __init__(self, fresh_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.fresh_seconds = fresh_seconds
        self._clock = clock
        self._at = -math.inf

    def renew(self) -> None:
        self._at = self._clock()

    @property
    def age(self) -> float:
        """Seconds since the last success; infinite before the first."""
        return self._clock() - self._at

    @property
    def fresh(self) -> bool:
        return self.age < self.fresh_seconds

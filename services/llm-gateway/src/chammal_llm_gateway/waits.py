"""How long calls wait at a backend, as far as that shows from outside.

A stream waits until its first token. A whole answer has waited as long as it took beyond its tokens, at the best pace
that the backend has lately shown. Reading the prompt counts as waiting in both.
"""

import time
from collections.abc import Callable

from chammal_llm_gateway.answer import Usage
from chammal_llm_gateway.settings import BackendName

_FORGETTING_SECONDS = 3600.0
"""In which the best pace, unless shown again, is held to be twice as slow."""


class Waits:
    """Tells `waited` the seconds of each call, and whether the backend had taken it up then."""

    def __init__(self, waited: Callable[[float, bool], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._waited = waited
        self._clock = clock
        self._best: dict[BackendName, tuple[float, float]] = {}
        """Seconds a token, and when that was."""

    def streamed(self, seconds: float) -> None:
        """To the first token."""
        self._waited(seconds, True)

    def gave_up(self, seconds: float) -> None:
        """Without an answer."""
        self._waited(seconds, False)

    def answered(self, backend: BackendName, seconds: float, usage: Usage | None) -> None:
        """A whole answer; one whose backend does not count tokens tells nothing."""
        tokens = usage.output_tokens if usage is not None else 0
        if tokens > 0:
            self._waited(seconds - tokens * self._best_pace(backend, seconds / tokens), True)

    def _best_pace(self, backend: BackendName, pace: float) -> float:
        now = self._clock()
        best, at = self._best.get(backend, (pace, now))
        best *= 2 ** ((now - at) / _FORGETTING_SECONDS)
        best = min(best, pace)
        self._best[backend] = best, now
        return best

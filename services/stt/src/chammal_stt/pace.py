"""How fast each model has read long recordings: what cannot be done in time even so is not begun."""

from chammal_contracts.errors import ErrorCode
from chammal_kit.deadline import Deadline
from chammal_kit.problems import Problem

TELLING_SECONDS = 60.0
"""Of speech. Less tells nothing of the pace."""
_FORGETTING = 1.05
"""By how much the best pace is held to be slower after each recording that did not reach it."""


class Pace:
    def __init__(self) -> None:
        self._best: dict[str, float] = {}
        """Seconds for each second of speech, by model."""

    def learn(self, model: str, spoken: float, seconds: float) -> None:
        if spoken >= TELLING_SECONDS:
            pace = seconds / spoken
            self._best[model] = min(pace, self._best.get(model, pace) * _FORGETTING)

    def check(self, model: str, spoken: float, deadline: Deadline | None) -> None:
        """Raises Problem for a recording that even at the best pace would not be read before the deadline."""
        if deadline is None or spoken < TELLING_SECONDS or model not in self._best:
            return
        needed, left = spoken * self._best[model], deadline.remaining()
        if needed > left:
            detail = f"Reading it takes {needed:.0f} s at least, and its caller waits no more than {left:.0f} s."
            raise Problem(504, ErrorCode.DEADLINE_EXCEEDED, detail)

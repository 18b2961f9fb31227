"""How much of what was sent has been heard by now, by the clock: it plays as it comes, and pauses without."""

from collections.abc import Callable


class Playback:
    """`now` in seconds; all else in milliseconds of audio."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ends_at = 0.0
        self.sent_ms = 0.0
        self.began_at: float | None = None

    def sent(self, ms: float) -> None:
        now = self._now()
        if self.began_at is None:
            self.began_at = now
        self._ends_at = max(self._ends_at, now) + ms / 1000
        self.sent_ms += ms

    @property
    def heard_ms(self) -> float:
        """At most: a client that began to play later has heard less, and may say so."""
        if self.began_at is None:
            return 0.0
        return self.sent_ms - max(0.0, self._ends_at - self._now()) * 1000

    @property
    def audible(self) -> bool:
        return self.began_at is not None and self._ends_at > self._now()

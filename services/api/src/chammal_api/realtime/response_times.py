"""Where the time of an answer went: each part of the way from the end of speech to the first audio."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from chammal_api.realtime.heard import Heard


@dataclass(slots=True)
class ResponseTimes:
    """All by the event loop's clock, in seconds."""

    heard: Heard | None
    now: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    first_words: float | None = None
    first_piece: float | None = None
    first_sample_seconds: float | None = None
    first_out: float | None = None
    """The first audio was sent, or the first text where text was asked for."""

    def __post_init__(self) -> None:
        self.started = self.now()

    def note_words(self) -> None:
        self.first_words = self.first_words or self.now()

    def note_piece(self) -> None:
        self.first_piece = self.first_piece or self.now()

    def note_out(self) -> None:
        self.first_out = self.first_out or self.now()

    def seconds(self) -> dict[str, float]:
        """The parts that took place, in their order. `overhead` is what of `first_out` no stage took."""
        parts = dict(self.heard.seconds) if self.heard is not None else {}
        if self.first_words is not None:
            parts["first_words"] = self.first_words - self.started
            if self.first_piece is not None:
                parts["first_sentence"] = self.first_piece - self.first_words
        if self.first_sample_seconds is not None:
            parts["first_sample"] = self.first_sample_seconds
        start = self.heard.stopped_at if self.heard is not None else self.started
        if self.first_out is not None:
            parts["overhead"] = self.first_out - start - sum(parts.values())
            parts["first_out"] = self.first_out - start
        parts["whole"] = self.now() - start
        return {name: round(value, 4) for name, value in parts.items()}

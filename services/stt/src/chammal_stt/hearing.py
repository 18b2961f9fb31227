"""What the voice detector heard in one channel, in seconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chammal_stt.pieces import FRAMES_A_SECOND, Probabilities, speech_runs

SURELY = 128
"""Of 255: 0.5. A stretch of speech reaches it; loud white noise reached 0.41, telephone speech 0.8 and more."""
SHORTEST_FRAMES = 3
"""0.1 s: a short 네."""


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds."""

    start: float
    end: float

    def overlap(self, other: "Span") -> float:
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))

    def distance(self, other: "Span") -> float:
        return max(0.0, other.start - self.end, self.start - other.end)

    def widened(self, seconds: float) -> "Span":
        return Span(self.start - seconds, self.end + seconds)


def heard(speech: Probabilities) -> list[Span]:
    """Stretches of speech, in order."""
    return [
        Span(first / FRAMES_A_SECOND, last / FRAMES_A_SECOND)
        for first, last in speech_runs(speech)
        if last - first >= SHORTEST_FRAMES and speech[first:last].max() >= SURELY
    ]


def without(spans: Iterable[Span], taken: Sequence[Span]) -> list[Span]:
    """What of the spans is in none of `taken`."""
    left = list(spans)
    for cut in taken:
        left = [
            part
            for span in left
            for part in (Span(span.start, min(span.end, cut.start)), Span(max(span.start, cut.end), span.end))
            if part.start < part.end
        ]
    return left

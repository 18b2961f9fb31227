"""What the voice detector heard in one channel, in seconds."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
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


def touching(spans: Sequence[Span], where: Span) -> Sequence[Span]:
    """Those of the spans, which are in order and apart, that overlap `where`."""
    first = bisect_right(spans, where.start, key=lambda span: span.end)
    return spans[first : bisect_left(spans, where.end, lo=first, key=lambda span: span.start)]


def without(spans: Sequence[Span], taken: Sequence[Span]) -> Iterator[Span]:
    """What of the spans is in none of `taken`; both are in order of their start."""
    free, place = 0.0, 0
    for span in spans:
        start = max(span.start, free)
        while place < len(taken) and taken[place].start < span.end:
            if start < taken[place].start:
                yield Span(start, taken[place].start)
            free = max(free, taken[place].end)
            start = max(start, free)
            place += 1
        if start < span.end:
            yield Span(start, span.end)

"""Which words of an answer are where in its audio, so that what was heard of it can be told."""

from dataclasses import dataclass, field

from chammal_api.realtime.sentences import phonemes

PHONEME_MS = 60
"""Of a piece whose audio is not all there, to guess how long it will be."""


@dataclass(slots=True)
class Span:
    text: str
    start_ms: float
    end_ms: float
    whole: bool = False
    """All of its audio is there."""

    @property
    def expected_ms(self) -> float:
        so_far = self.end_ms - self.start_ms
        return so_far if self.whole else max(so_far, phonemes(self.text) * PHONEME_MS)


@dataclass(slots=True)
class SpeechTrack:
    spans: list[Span] = field(default_factory=list)

    @property
    def ms(self) -> float:
        return self.spans[-1].end_ms if self.spans else 0.0

    def begin(self, text: str) -> None:
        self.spans.append(Span(text, self.ms, self.ms))

    def grow(self, ms: float) -> None:
        self.spans[-1].end_ms += ms

    def end(self) -> None:
        self.spans[-1].whole = True

    def text_until(self, ms: float) -> str:
        """The whole words that had been spoken by then. What is in no audio at all counts where it stands."""
        heard = ""
        for span in self.spans:
            if span.end_ms > ms or (not span.whole and span.end_ms == span.start_ms):
                return (heard + _share(span.text, (ms - span.start_ms) / (span.expected_ms or 1.0))).rstrip()
            if not span.whole:
                return (heard + _share(span.text, (span.end_ms - span.start_ms) / (span.expected_ms or 1.0))).rstrip()
            heard += span.text
        return heard.rstrip()


def _share(text: str, share: float) -> str:
    """The first words of `text` that take no more than `share` of its sounds."""
    left = phonemes(text) * share
    end = 0
    for place, char in enumerate(text):
        left -= phonemes(char)
        if left < 0:
            break
        if place + 1 == len(text) or text[place + 1].isspace():
            end = place + 1
    return text[:end]

"""Where utterances begin and end, told from the probability of speech. All positions are frames of SPEECH_FRAME."""

from collections import deque
from dataclasses import dataclass

from chammal_contracts.live import EndReason

ON, OFF = 0.5, 0.35
"""Probability that begins speech, and the one below which it ends: a voice that fades is still a voice."""
_SMOOTHED = 5
"""Frames over which loudness is averaged when a cut is looked for."""


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """In frames."""

    silence: int
    """Ends an utterance."""
    early: int
    """Makes an end likely; also what the utterance keeps of the silence after it."""
    preroll: int
    """Kept before the first frame with speech: its onset is quieter than the detector hears."""
    least: int
    """Of speech; less is a click."""
    longest: int


@dataclass(frozen=True, slots=True)
class Started:
    first: int
    """The utterance's first frame, pre-roll included."""
    onset: int
    """Of speech."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Silence that may turn out to be the end."""

    end: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was not the end."""


@dataclass(frozen=True, slots=True)
class Ended:
    speech_end: int
    end: int
    """The utterance's last frame and one; its audio ends here."""
    heard: int
    """Frames that the stream had by then."""
    reason: EndReason


Turn = Started | Paused | Resumed | Ended


class Endpointer:
    def __init__(self, rules: EndpointRules) -> None:
        self._rules = rules
        self._frame = 0
        self._floor = 0
        """First frame that belongs to no utterance yet."""
        self._onset: int | None = None
        self._voiced = 0
        self._first: int | None = None
        self._speech_end = 0
        self._levels: deque[float] = deque(maxlen=max(_SMOOTHED, rules.longest // 3))

    @property
    def silence(self) -> int:
        """Frames since speech was last heard in the utterance at hand."""
        return self._frame - self._speech_end

    def hear(self, probability: float, level: float) -> list[Turn]:
        """The next frame: how probable speech is, and its loudness in dBFS."""
        frame = self._frame
        self._frame += 1
        self._levels.append(level)
        if self._first is None:
            return self._hear_quiet(frame, probability)
        return self._hear_speech(frame, probability, self._first)

    def stop(self, reason: EndReason) -> list[Turn]:
        """Ends the utterance at hand, if there is one."""
        if self._first is None:
            self._onset = None
            return []
        return [self._end(min(self._speech_end + self._rules.early, self._frame), reason)]

    def _hear_quiet(self, frame: int, probability: float) -> list[Turn]:
        if probability < (ON if self._onset is None else OFF):
            self._onset = None
            return []
        if self._onset is None:
            self._onset, self._voiced = frame, 0
        self._voiced += 1
        if self._voiced < self._rules.least:
            return []
        return [self._start(max(self._floor, self._onset - self._rules.preroll), self._onset, frame + 1)]

    def _hear_speech(self, frame: int, probability: float, first: int) -> list[Turn]:
        turns: list[Turn] = []
        silence = frame - self._speech_end
        paused = silence >= self._rules.early
        if probability >= (ON if paused else OFF):
            self._speech_end = frame + 1
            if paused:
                turns.append(Resumed())
        elif silence + 1 >= self._rules.silence:
            return [self._end(min(self._speech_end + self._rules.early, frame + 1), EndReason.SILENCE)]
        elif silence + 1 == self._rules.early:
            turns.append(Paused(frame + 1))
        if frame + 1 - first >= self._rules.longest:
            turns += self._cut()
        return turns

    def _start(self, first: int, onset: int, speech_end: int) -> Started:
        self._first, self._onset, self._speech_end = first, None, speech_end
        return Started(first, onset)

    def _end(self, end: int, reason: EndReason) -> Ended:
        self._first, self._floor = None, end
        return Ended(min(self._speech_end, end), end, self._frame, reason)

    def _cut(self) -> list[Turn]:
        speech_end, cut = self._speech_end, self._quietest()
        turns: list[Turn] = [self._end(cut, EndReason.TOO_LONG)]
        if speech_end > cut:
            turns.append(self._start(cut, cut, speech_end))
        return turns

    def _quietest(self) -> int:
        """In the last third of the longest utterance."""
        levels, half = list(self._levels), _SMOOTHED // 2
        sums = [sum(levels[middle - half : middle + half + 1]) for middle in range(half, len(levels) - half)]
        return self._frame - len(levels) + half + sums.index(min(sums))

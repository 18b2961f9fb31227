"""Where a recording is cut: from where its speech is, to the stretches that are recognised together.

Pauses stay inside a piece. Cut out, Whisper's time stamps jump and sentences are lost; and a piece with several short
turns in it is read better than each turn alone: the two-channel call of the tests has a character error rate of 0.13
with pauses of up to 5 s kept, and 0.17 with pauses of up to 2 s.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chammal_stt.messages import SAMPLE_RATE, SPEECH_FRAME, ChannelActivity

Probabilities = npt.NDArray[np.uint8]
"""Of speech, 0–255, one for each SPEECH_FRAME."""

FRAMES_A_SECOND = SAMPLE_RATE / SPEECH_FRAME
SPEECH = 90
"""0.35: speech begins. Telephone speech is seldom surer."""
SILENCE = 51
"""0.2: speech ends."""
_END_FRAMES = 6
"""Shorter dips are no pause."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How long pieces may be, in seconds."""

    piece_seconds: float = 18.0
    pause_seconds: float = 5.0
    """Longer pauses are never inside a piece."""
    padding_seconds: float = 0.5
    whole_seconds: float = 15.0
    """Shorter recordings with speech in them stay whole: trimming them costs words."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples of one channel, the last not included."""

    first: int
    last: int

    @property
    def seconds(self) -> float:
        return (self.last - self.first) / SAMPLE_RATE


def probabilities(activity: ChannelActivity) -> Probabilities:
    return np.frombuffer(base64.b64decode(activity.speech), np.uint8)


def speech_runs(speech: Probabilities) -> list[tuple[int, int]]:
    """First and last frame of each run of speech, the last not included."""
    runs: list[tuple[int, int]] = []
    start: int | None = None
    quiet_from: int | None = None
    for frame, value in enumerate(speech.tolist()):
        if value >= SPEECH:
            start = frame if start is None else start
            quiet_from = None
        elif start is not None and value < SILENCE:
            quiet_from = frame if quiet_from is None else quiet_from
            if frame - quiet_from >= _END_FRAMES:
                runs.append((start, quiet_from))
                start = quiet_from = None
    if start is not None:
        runs.append((start, len(speech) if quiet_from is None else quiet_from))
    return runs


def speech_seconds(speech: Probabilities) -> float:
    return sum(last - first for first, last in speech_runs(speech)) / FRAMES_A_SECOND


def cut(speech: Probabilities, samples: int, limits: Cut) -> list[Stretch]:
    """The pieces of a channel, in order, none longer than `piece_seconds` and its padding. None without speech."""
    runs = speech_runs(speech)
    if not runs:
        return []
    if samples <= limits.whole_seconds * SAMPLE_RATE:
        return [Stretch(0, samples)]
    return _padded(list(_joined(_short(speech, runs, limits), limits)), samples, limits)


def _short(speech: Probabilities, runs: list[tuple[int, int]], limits: Cut) -> Iterator[tuple[int, int]]:
    """Cuts long runs where the speech is faintest, in the second half of what a piece may hold."""
    longest = int(limits.piece_seconds * FRAMES_A_SECOND)
    smooth = np.convolve(speech.astype(np.float32), np.ones(7, np.float32) / 7, mode="same")
    for first, last in runs:
        start = first
        while last - start > longest:
            window = smooth[start + longest // 2 : start + longest]
            late = np.linspace(10, 0, len(window), dtype=np.float32)
            end = start + longest // 2 + int((window + late).argmin())
            yield start, end
            start = end
        yield start, last


def _joined(runs: Iterator[tuple[int, int]], limits: Cut) -> Iterator[tuple[int, int]]:
    longest = limits.piece_seconds * FRAMES_A_SECOND
    pause = limits.pause_seconds * FRAMES_A_SECOND
    held: tuple[int, int] | None = None
    for first, last in runs:
        if held is not None and last - held[0] <= longest and first - held[1] <= pause:
            held = held[0], last
        else:
            if held is not None:
                yield held
            held = first, last
    if held is not None:
        yield held


def _padded(runs: list[tuple[int, int]], samples: int, limits: Cut) -> list[Stretch]:
    """Each with `padding_seconds` around it, or half of the pause to its neighbour."""
    padding = int(limits.padding_seconds * SAMPLE_RATE)
    bounds = [(first * SPEECH_FRAME, min(samples, last * SPEECH_FRAME)) for first, last in runs]
    stretches = []
    for place, (first, last) in enumerate(bounds):
        floor = (bounds[place - 1][1] + first + 1) // 2 if place else 0
        ceiling = (last + bounds[place + 1][0] + 1) // 2 if place + 1 < len(bounds) else samples
        stretches.append(Stretch(max(floor, first - padding), min(ceiling, last + padding)))
    return stretches

"""One recording: cut into pieces, these sent to the batcher, and what was skipped read again."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from chammal_contracts.asr import ChannelLayout
from chammal_stt.batcher import Batcher, Priority
from chammal_stt.channels import Bleed, without_bleed
from chammal_stt.hearing import heard
from chammal_stt.messages import SAMPLE_RATE, DecodeReply, Piece, RecognisedSegment
from chammal_stt.pieces import (
    FRAMES_A_SECOND,
    Cut,
    Probabilities,
    Stretch,
    cut,
    probabilities,
    speech_seconds,
)

SHORT_SECONDS = 15.0
"""A recording with no more speech in it goes before the pieces of longer ones."""
AHEAD = 8
"""Pieces of one recording that may wait at once, so that long ones take turns."""
SKIPPED_SECONDS = 1.5
"""Speech without text that is read again."""
_TIMES_WRONG_SECONDS = 0.5
"""How far off Whisper's time stamps may be: speech so near a segment is in it."""
_TELLING_SECONDS = 3.0
"""A language is told from a piece that is at least so long, when there is one among the first."""
_FIRST_PIECES = 4


@dataclass(slots=True)
class Track:
    """One channel: where it has speech, the pieces it is cut into, and what was written."""

    channel: int
    speech: Probabilities
    pieces: list[Stretch]
    segments: list[RecognisedSegment] = field(default_factory=list)
    """In order of time; seconds from the beginning of the recording."""


@dataclass(slots=True)
class Reading:
    """How far it is. Times are seconds of the recording."""

    duration: float
    layout: ChannelLayout
    tracks: list[Track]
    bleed: list[Bleed] = field(default_factory=list)
    language: str | None = None
    done: float = 0.0
    """All of the recording before this has been read."""

    @property
    def spoken(self) -> float:
        """Seconds of speech, of all channels."""
        return sum(speech_seconds(track.speech) for track in self.tracks)

    @property
    def is_short(self) -> bool:
        return self.spoken <= SHORT_SECONDS


def plan(decoded: DecodeReply, split: bool, limits: Cut) -> Reading:
    speech = [probabilities(activity) for activity in decoded.activity]
    bleed: list[Bleed] = []
    layout = ChannelLayout.MIXED if decoded.source_channels > 1 else ChannelLayout.MONO
    if decoded.dual_mono:
        layout, speech = ChannelLayout.DUAL_MONO, speech[:1]
    elif split and decoded.channels == 2:
        layout = ChannelLayout.SPLIT
        levels = [np.frombuffer(base64.b64decode(activity.level), np.uint8) for activity in decoded.activity]
        speech, bleed = without_bleed((speech[0], speech[1]), (levels[0], levels[1]))
    tracks = [Track(channel, spoken, cut(spoken, decoded.samples, limits)) for channel, spoken in enumerate(speech)]
    return Reading(decoded.samples / SAMPLE_RATE, layout, tracks, bleed)


async def read(
    batcher: Batcher, descriptor: int, reading: Reading, options: Piece, came_further: Callable[[], None]
) -> None:
    """Fills the reading. `options` is a piece without a place, but for the channels of the file. Raises Problem."""
    priority = Priority.SHORT if reading.is_short else Priority.LONG
    reader = _Reader(batcher, descriptor, options, priority)
    todo = sorted(
        ((track, piece) for track in reading.tracks for piece in track.pieces), key=lambda item: item[1].first
    )
    reading.language = options.language
    if todo and reading.language is None:
        telling = next((item for item in todo[:_FIRST_PIECES] if item[1].seconds >= _TELLING_SECONDS), todo[0])
        todo.remove(telling)
        reading.language = await reader.read(*telling, None)
    async with _tasks(reader.read(track, piece, reading.language) for track, piece in todo) as tasks:
        for place, task in enumerate(tasks):
            await task
            following = todo[place + 1][1].first if place + 1 < len(todo) else reading.duration * SAMPLE_RATE
            reading.done = max(reading.done, following / SAMPLE_RATE)
            came_further()
    skipped = [(track, gap) for track in reading.tracks for gap in _skipped(track)]
    async with _tasks(reader.read(track, gap, reading.language) for track, gap in skipped) as tasks:
        for task in tasks:
            await task
    for track in reading.tracks:
        track.segments.sort(key=lambda segment: segment.start)


class _Reader:
    def __init__(self, batcher: Batcher, descriptor: int, options: Piece, priority: Priority) -> None:
        self._batcher = batcher
        self._descriptor = descriptor
        self._options = options
        self._priority = priority
        self._places = asyncio.Semaphore(AHEAD)

    async def read(self, track: Track, stretch: Stretch, language: str | None) -> str:
        """The language is the one that was given or told."""
        piece = replace(
            self._options,
            first=stretch.first,
            samples=stretch.last - stretch.first,
            channel=track.channel,
            language=language,
        )
        async with self._places:
            recognition = await self._batcher.recognise(self._descriptor, piece, self._priority)
        track.segments += [shifted(segment, stretch.first / SAMPLE_RATE) for segment in recognition.segments]
        return recognition.language


@asynccontextmanager
async def _tasks(work: Iterable[Coroutine[None, None, str]]) -> AsyncIterator[list[asyncio.Task[str]]]:
    """They end with the block, whatever ends it."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _skipped(track: Track) -> Iterator[Stretch]:
    """Speech that no text covers."""
    left = track.speech.copy()
    for segment in track.segments:
        first = int((segment.start - _TIMES_WRONG_SECONDS) * FRAMES_A_SECOND)
        left[max(0, first) : int((segment.end + _TIMES_WRONG_SECONDS) * FRAMES_A_SECOND) + 1] = 0
    for span in heard(left):
        if span.end - span.start >= SKIPPED_SECONDS:
            yield Stretch(int(span.start * SAMPLE_RATE), int(span.end * SAMPLE_RATE))


def shifted(segment: RecognisedSegment, seconds: float) -> RecognisedSegment:
    words = segment.words
    if words is not None:
        words = [replace(word, start=_later(word.start, seconds), end=_later(word.end, seconds)) for word in words]
    return replace(segment, start=_later(segment.start, seconds), end=_later(segment.end, seconds), words=words)


def _later(time: float, seconds: float) -> float:
    return round(time + seconds, 3)

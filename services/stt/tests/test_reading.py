import base64
from collections.abc import Callable
from typing import cast

import anyio
import numpy as np
import pytest

from chammal_contracts.asr import ChannelLayout
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem
from chammal_stt.batcher import Batcher, Priority
from chammal_stt.messages import (
    SAMPLE_RATE,
    SPEECH_FRAME,
    ChannelActivity,
    DecodeOutcome,
    DecodeReply,
    Piece,
    RecognisedSegment,
    RecognisedWord,
    Recognition,
)
from chammal_stt.pieces import Cut
from chammal_stt.reading import AHEAD, Reading, plan, read

pytestmark = pytest.mark.anyio


def decoded(*channels: list[tuple[float, int]], dual_mono: bool = False) -> DecodeReply:
    """Each channel as (seconds, probability of speech) one after the other."""
    activity = []
    for channel in channels:
        speech = np.concatenate([np.full(round(s * SAMPLE_RATE / SPEECH_FRAME), p, np.uint8) for s, p in channel])
        level = np.where(speech > 0, 20, 90).astype(np.uint8)
        activity.append(ChannelActivity(*(base64.b64encode(values.tobytes()).decode() for values in (speech, level))))
    samples = len(speech) * SPEECH_FRAME
    return DecodeReply(
        DecodeOutcome.OK, samples, len(channels), dual_mono, source_channels=len(channels), activity=activity
    )


class FakeBatcher:
    """Writes all of a piece as one segment, but for what `written` says."""

    def __init__(self, written: Callable[[Piece], float] = lambda piece: piece.samples / SAMPLE_RATE) -> None:
        self.asked: list[tuple[Piece, Priority]] = []
        self.most_at_once = 0
        self.fails_at: int | None = None
        self._at_once = 0
        self._written = written

    async def recognise(self, descriptor: int, piece: Piece, priority: Priority) -> Recognition:
        self.asked.append((piece, priority))
        if len(self.asked) == self.fails_at:
            raise Problem(422, ErrorCode.AUDIO_UNPROCESSABLE, "no")
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await anyio.lowlevel.checkpoint()
        self._at_once -= 1
        end = self._written(piece)
        word = RecognisedWord(" 네", 0.0, end, 0.9)
        segment = RecognisedSegment(0.0, end, f" {piece.first}", [1], 0.0, -0.3, 1.0, 0.1, [word])
        return Recognition(piece.language or "ko", [segment])


async def run(batcher: FakeBatcher, reading: Reading, **options: object) -> list[float]:
    progress: list[float] = []
    piece = Piece(0, 0, channels=len(reading.tracks), **options)  # type: ignore[arg-type]
    await read(cast(Batcher, batcher), 0, reading, piece, lambda: progress.append(reading.done))
    return progress


LONG = [(10.0, 255), (8.0, 0)] * 6


async def test_times_are_those_of_the_recording() -> None:
    reading = plan(decoded(LONG), False, Cut())
    await run(FakeBatcher(), reading, language="ko")
    starts = [segment.start for segment in reading.tracks[0].segments]
    assert starts == pytest.approx([0, 17.5, 35.5, 53.5, 71.5, 89.5], abs=0.1)
    assert [segment.words[0].start for segment in reading.tracks[0].segments if segment.words] == starts


async def test_progress_only_grows_and_ends_at_the_end() -> None:
    reading = plan(decoded(LONG), False, Cut())
    progress = await run(FakeBatcher(), reading, language="ko")
    assert progress == sorted(progress)
    assert progress[-1] == reading.duration


async def test_short_recordings_go_before_long_ones() -> None:
    for parts, priority in (([(3.0, 255)], Priority.SHORT), (LONG, Priority.LONG)):
        batcher = FakeBatcher()
        await run(batcher, plan(decoded(parts), False, Cut()), language="ko")
        assert {asked for _, asked in batcher.asked} == {priority}


async def test_the_language_is_told_once_and_holds_for_the_rest() -> None:
    batcher = FakeBatcher()
    reading = plan(decoded(LONG), False, Cut())
    await run(batcher, reading)
    assert [piece.language for piece, _ in batcher.asked] == [None] + ["ko"] * 5
    assert reading.language == "ko"


async def test_a_long_recording_does_not_fill_the_queue() -> None:
    batcher = FakeBatcher()
    await run(batcher, plan(decoded([(10.0, 255), (8.0, 0)] * 40), False, Cut()), language="ko")
    assert batcher.most_at_once == AHEAD


async def test_speech_that_was_skipped_is_read_again() -> None:
    batcher = FakeBatcher(lambda piece: min(4.0, piece.samples / SAMPLE_RATE))
    reading = plan(decoded([(12.0, 255), (8.0, 0)]), False, Cut())
    await run(batcher, reading, language="ko")
    again = batcher.asked[1][0]
    assert again.first / SAMPLE_RATE == pytest.approx(4.5, abs=0.1)
    assert (again.first + again.samples) / SAMPLE_RATE == pytest.approx(12, abs=0.1)
    assert len(batcher.asked) == 2, "once"


async def test_one_piece_that_fails_ends_the_rest() -> None:
    batcher = FakeBatcher()
    batcher.fails_at = 3
    with pytest.raises(Problem):
        await run(batcher, plan(decoded([(10.0, 255), (8.0, 0)] * 40), False, Cut()), language="ko")
    assert len(batcher.asked) < 40


async def test_each_channel_of_a_split_call_is_read_on_its_own() -> None:
    batcher = FakeBatcher()
    reading = plan(decoded([(5.0, 255), (40.0, 0)], [(35.0, 0), (5.0, 255), (5.0, 0)]), True, Cut())
    await run(batcher, reading, language="ko")
    assert reading.layout is ChannelLayout.SPLIT
    assert [(piece.channel, piece.channels) for piece, _ in batcher.asked] == [(0, 2), (1, 2)]


async def test_a_dual_mono_call_has_one_track() -> None:
    reading = plan(decoded([(5.0, 255)], [(5.0, 255)], dual_mono=True), True, Cut())
    assert (reading.layout, [track.channel for track in reading.tracks]) == (ChannelLayout.DUAL_MONO, [0])


async def test_silence_asks_nobody() -> None:
    batcher = FakeBatcher()
    reading = plan(decoded([(60.0, 0)]), False, Cut())
    await run(batcher, reading)
    assert (batcher.asked, reading.language) == ([], None)

"""The channels of a call as one conversation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest

from chammal_stt.messages import RecognisedSegment


@dataclass(frozen=True, slots=True)
class Turn:
    segment: RecognisedSegment
    speaker: str | None = None
    """None unless the channels were split."""


def interleave(channels: Mapping[str, Sequence[RecognisedSegment]]) -> list[Turn]:
    """In order of start; a speaker's own segments never overlap. Keys are speakers, the left channel's first."""
    turns = [Turn(segment, speaker) for speaker, said in channels.items() for segment in _in_turn(said)]
    return sorted(turns, key=lambda turn: turn.segment.start)


def plain_text(turns: Sequence[Turn]) -> str:
    """One line each time the speaker changes, `agent: …`. Without speakers, the text as it is."""
    return "\n".join(
        _text(said) if speaker is None else f"{speaker}: {_text(said)}"
        for speaker, said in groupby(turns, key=lambda turn: turn.speaker)
    )


def _text(turns: Iterator[Turn]) -> str:
    return "".join(turn.segment.text for turn in turns).strip()


def _in_turn(segments: Sequence[RecognisedSegment]) -> Iterator[RecognisedSegment]:
    """Each ends where the next begins at the latest. Words keep their times."""
    ordered = sorted(segments, key=lambda segment: (segment.start, segment.end))
    for segment, following in zip_longest(ordered, ordered[1:]):
        end = segment.end if following is None else min(segment.end, following.start)
        yield segment if end == segment.end else replace(segment, end=max(end, segment.start))

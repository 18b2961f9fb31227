"""The channels of a call as one conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chammal_stt.messages import RecognisedSegment


@dataclass(frozen=True, slots=True)
class Turn:
    segment: RecognisedSegment
    speaker: str | None = None
    """None unless the channels were split."""


def interleave(channels: Mapping[str, Sequence[RecognisedSegment]]) -> list[Turn]:
    """In order of start; a speaker's own segments never overlap. Keys are speakers, the left channel's first."""
    return [Turn(segment, speaker) for speaker, segments in channels.items() for segment in segments]


def plain_text(turns: Sequence[Turn]) -> str:
    """With speakers, one line a turn: `agent: …`. Without, the text as it is."""
    return "".join(turn.segment.text for turn in turns).strip()

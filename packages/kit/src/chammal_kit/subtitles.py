"""What was said and when, as SubRip and WebVTT. The text is anybody's: it can neither end a cue nor begin markup."""

from collections.abc import Iterable
from dataclasses import dataclass

SRT_MEDIA_TYPE = "application/x-subrip"
VTT_MEDIA_TYPE = "text/vtt"


@dataclass(frozen=True, slots=True)
class Cue:
    """Start and end in seconds from the beginning of the recording."""

    start: float
    end: float
    text: str
    speaker: str | None = None


def to_srt(cues: Iterable[Cue]) -> str:
    return "".join(
        f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{_said(cue)}\n\n"
        for number, cue in enumerate(cues, start=1)
    )


def to_vtt(cues: Iterable[Cue]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{_voice(cue)}\n\n" for cue in cues
    )


def clock(seconds: float, point: str) -> str:
    """`01:02:03,456`"""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _said(cue: Cue) -> str:
    return _line(cue.text if cue.speaker is None else f"{cue.speaker}: {cue.text}")


def _voice(cue: Cue) -> str:
    text = _escape(_line(cue.text))
    return text if cue.speaker is None else f"<v {_escape(_line(cue.speaker))}>{text}"


def _line(text: str) -> str:
    """One line: an empty one would end the cue, and an arrow would begin another."""
    return " ".join(text.split()).replace("-->", "->")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

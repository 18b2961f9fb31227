"""The transcript of a call as JSON, plain text or subtitles. What was said is anybody's, and stays text."""

from collections.abc import Callable, Iterator
from enum import StrEnum

from starlette.responses import Response

from chammal_contracts.calls import CallTranscript
from chammal_kit import subtitles
from chammal_kit.subtitles import SRT_MEDIA_TYPE, VTT_MEDIA_TYPE, Cue, clock

JSON_MEDIA_TYPE = "application/json"
TEXT_MEDIA_TYPE = "text/plain"


class TranscriptFormat(StrEnum):
    JSON = "json"
    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"


def render(transcript: CallTranscript, form: TranscriptFormat, name: str) -> Response:
    """`name` is that of the file, without its ending, for whoever saves it."""
    write, media_type = _WRITERS[form]
    disposition = {} if form is TranscriptFormat.JSON else {"Content-Disposition": f'inline; filename="{name}.{form}"'}
    return Response(
        write(transcript), media_type=media_type, headers={"Cache-Control": "private, no-store", **disposition}
    )


def to_text(transcript: CallTranscript) -> str:
    """A line for each utterance: when, who, what."""
    return "".join(
        f"[{clock(cue.start, '.')}] {cue.speaker}: {' '.join(cue.text.split())}\n" for cue in _cues(transcript)
    )


def to_srt(transcript: CallTranscript) -> str:
    return subtitles.to_srt(_cues(transcript))


def to_vtt(transcript: CallTranscript) -> str:
    return subtitles.to_vtt(_cues(transcript))


def _cues(transcript: CallTranscript) -> Iterator[Cue]:
    """An utterance whose time is not known stands where the one before it ended."""
    now = 0.0
    for one in transcript.utterances:
        start = now if one.start is None else one.start
        now = start if one.end is None else max(start, one.end)
        yield Cue(start, now, one.text, one.speaker)


_WRITERS: dict[TranscriptFormat, tuple[Callable[[CallTranscript], str], str]] = {
    TranscriptFormat.JSON: (CallTranscript.model_dump_json, JSON_MEDIA_TYPE),
    TranscriptFormat.TXT: (to_text, TEXT_MEDIA_TYPE),
    TranscriptFormat.SRT: (to_srt, SRT_MEDIA_TYPE),
    TranscriptFormat.VTT: (to_vtt, VTT_MEDIA_TYPE),
}

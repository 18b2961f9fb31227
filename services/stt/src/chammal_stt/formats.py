"""A transcript as the five response formats of OpenAI's interface."""

from collections.abc import Callable

from starlette.responses import Response

from chammal_contracts.asr import Segment, Transcription, TranscriptionFormat, TranscriptionText


def render(transcription: Transcription, response_format: TranscriptionFormat) -> Response:
    write, media_type = _WRITERS[response_format]
    return Response(write(transcription), media_type=media_type)


def to_json(transcription: Transcription) -> str:
    return TranscriptionText(text=transcription.text).model_dump_json()


def to_verbose_json(transcription: Transcription) -> str:
    return transcription.model_dump_json()


def to_text(transcription: Transcription) -> str:
    return transcription.text + "\n"


def to_srt(transcription: Transcription) -> str:
    return "".join(
        f"{number}\n{clock(segment.start, ',')} --> {clock(segment.end, ',')}\n{_said(segment)}\n\n"
        for number, segment in enumerate(transcription.segments, start=1)
    )


def to_vtt(transcription: Transcription) -> str:
    cues = (f"{clock(s.start, '.')} --> {clock(s.end, '.')}\n{_voice(s)}\n\n" for s in transcription.segments)
    return "WEBVTT\n\n" + "".join(cues)


def clock(seconds: float, point: str) -> str:
    """`01:02:03,456`"""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _said(segment: Segment) -> str:
    return _line(segment.text if segment.speaker is None else f"{segment.speaker}: {segment.text}")


def _voice(segment: Segment) -> str:
    text = _escape(_line(segment.text))
    return text if segment.speaker is None else f"<v {_escape(_line(segment.speaker))}>{text}"


def _line(text: str) -> str:
    """One line: an empty one would end the cue, and an arrow would begin another."""
    return " ".join(text.split()).replace("-->", "->")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_WRITERS: dict[TranscriptionFormat, tuple[Callable[[Transcription], str], str]] = {
    TranscriptionFormat.JSON: (to_json, "application/json"),
    TranscriptionFormat.VERBOSE_JSON: (to_verbose_json, "application/json"),
    TranscriptionFormat.TEXT: (to_text, "text/plain"),
    TranscriptionFormat.SRT: (to_srt, "application/x-subrip"),
    TranscriptionFormat.VTT: (to_vtt, "text/vtt"),
}
MEDIA_TYPES = tuple(dict.fromkeys(media_type for _, media_type in _WRITERS.values()))

"""A transcript as the five response formats of OpenAI's interface."""

from collections.abc import Callable, Iterator

from starlette.responses import Response

from chammal_contracts.asr import Transcription, TranscriptionFormat, TranscriptionText
from chammal_kit import subtitles
from chammal_kit.subtitles import SRT_MEDIA_TYPE, VTT_MEDIA_TYPE, Cue


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
    return subtitles.to_srt(_cues(transcription))


def to_vtt(transcription: Transcription) -> str:
    return subtitles.to_vtt(_cues(transcription))


def _cues(transcription: Transcription) -> Iterator[Cue]:
    return (Cue(one.start, one.end, one.text, one.speaker) for one in transcription.segments)


_WRITERS: dict[TranscriptionFormat, tuple[Callable[[Transcription], str], str]] = {
    TranscriptionFormat.JSON: (to_json, "application/json"),
    TranscriptionFormat.VERBOSE_JSON: (to_verbose_json, "application/json"),
    TranscriptionFormat.TEXT: (to_text, "text/plain"),
    TranscriptionFormat.SRT: (to_srt, SRT_MEDIA_TYPE),
    TranscriptionFormat.VTT: (to_vtt, VTT_MEDIA_TYPE),
}
MEDIA_TYPES = tuple(dict.fromkeys(media_type for _, media_type in _WRITERS.values()))

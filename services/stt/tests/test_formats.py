import json

import pytest

from chammal_contracts.asr import Segment, Transcription, TranscriptionFormat
from chammal_stt.formats import clock, render


def segment(start: float, end: float, text: str) -> Segment:
    return Segment(
        id=0,
        start=start,
        end=end,
        text=text,
        temperature=0,
        avg_logprob=-0.2,
        compression_ratio=1,
        no_speech_prob=0,
    )


TRANSCRIPTION = Transcription(
    language="ko",
    duration=3725.5,
    text="안녕하세요. a --> b & <c>",
    segments=[segment(0.0, 1.5, " 안녕하세요."), segment(3723.0, 3725.4996, " a --> b\n\n& <c>")],
    model="whisper-base",
)


def body(response_format: TranscriptionFormat) -> str:
    return bytes(render(TRANSCRIPTION, response_format).body).decode()


def test_srt_numbers_its_cues_and_writes_commas() -> None:
    assert body(TranscriptionFormat.SRT) == (
        "1\n00:00:00,000 --> 00:00:01,500\n안녕하세요.\n\n2\n01:02:03,000 --> 01:02:05,500\na -> b & <c>\n\n"
    )


def test_vtt_writes_points_and_escapes_markup() -> None:
    assert body(TranscriptionFormat.VTT) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n안녕하세요.\n\n"
        "01:02:03.000 --> 01:02:05.500\na -&gt; b &amp; &lt;c&gt;\n\n"
    )


def test_json_holds_the_text_alone() -> None:
    assert json.loads(body(TranscriptionFormat.JSON)) == {"text": TRANSCRIPTION.text}


def test_verbose_json_holds_everything() -> None:
    assert Transcription.model_validate_json(body(TranscriptionFormat.VERBOSE_JSON)) == TRANSCRIPTION


def test_text_is_the_text() -> None:
    assert body(TranscriptionFormat.TEXT) == TRANSCRIPTION.text + "\n"


@pytest.mark.parametrize(("seconds", "written"), [(59.9996, "00:01:00.000"), (7200.0, "02:00:00.000")])
def test_the_clock_carries_over(seconds: float, written: str) -> None:
    assert clock(seconds, ".") == written

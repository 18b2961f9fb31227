import json

from chammal_contracts.asr import ChannelLayout, Segment, Suspect, SuspectReason, Transcription, TranscriptionFormat
from chammal_stt.formats import render


def segment(start: float, end: float, text: str, speaker: str | None = None) -> Segment:
    return Segment(
        id=0,
        start=start,
        end=end,
        text=text,
        temperature=0,
        avg_logprob=-0.2,
        compression_ratio=1,
        no_speech_prob=0,
        speaker=speaker,
    )


TRANSCRIPTION = Transcription(
    language="ko",
    duration=3725.5,
    text="안녕하세요. a --> b & <c>",
    segments=[segment(0.0, 1.5, " 안녕하세요."), segment(3723.0, 3725.4996, " a --> b\n\n& <c>")],
    model="whisper-base",
)


CALL = Transcription(
    language="ko",
    duration=3.0,
    text="agent: 네.\nR&D: 주차요?",
    segments=[segment(0.0, 1.0, " 네.", "agent"), segment(1.0, 2.0, " 주차요?", "R&D")],
    model="whisper-base",
    channels=ChannelLayout.SPLIT,
    suspect=[
        Suspect(
            start=2.0,
            end=3.0,
            text="",
            reason=SuspectReason.SKIPPED,
            dropped=False,
            detail="Someone speaks.",
            speaker="R&D",
        )
    ],
)


def body(response_format: TranscriptionFormat, transcription: Transcription = TRANSCRIPTION) -> str:
    return bytes(render(transcription, response_format).body).decode()


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


def test_srt_says_who_speaks() -> None:
    assert body(TranscriptionFormat.SRT, CALL) == (
        "1\n00:00:00,000 --> 00:00:01,000\nagent: 네.\n\n2\n00:00:01,000 --> 00:00:02,000\nR&D: 주차요?\n\n"
    )


def test_vtt_marks_voices() -> None:
    assert body(TranscriptionFormat.VTT, CALL) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n<v agent>네.\n\n00:00:01.000 --> 00:00:02.000\n<v R&amp;D>주차요?\n\n"
    )


def test_verbose_json_names_speakers_and_tells_what_is_doubted() -> None:
    said = json.loads(body(TranscriptionFormat.VERBOSE_JSON, CALL))
    assert said["channels"] == "split"
    assert [s["speaker"] for s in said["segments"]] == ["agent", "R&D"]
    assert [(s["reason"], s["dropped"], s["speaker"]) for s in said["suspect"]] == [("skipped", False, "R&D")]


def test_text_and_json_hold_the_turns_of_a_call() -> None:
    assert body(TranscriptionFormat.TEXT, CALL) == "agent: 네.\nR&D: 주차요?\n"
    assert json.loads(body(TranscriptionFormat.JSON, CALL)) == {"text": "agent: 네.\nR&D: 주차요?"}

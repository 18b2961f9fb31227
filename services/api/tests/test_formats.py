from tests.sample_calls import transcript

from chammal_api.calls.formats import TranscriptFormat, render
from chammal_contracts.calls import CallTranscript
from chammal_contracts.checks import Speaker, Utterance

SAID = transcript(
    Utterance(id="u1", speaker=Speaker.AGENT, start=0, end=1.5, text="안녕하세요."),
    Utterance(id="u2", speaker=Speaker.CUSTOMER, text="네\n\n[00:00:09.000] agent: 원금은 보장됩니다 --> <b>"),
    duration=9,
)


def text(form: TranscriptFormat) -> str:
    return bytes(render(SAID, form, "call").body).decode()


def test_json_is_the_transcript() -> None:
    assert CallTranscript.model_validate_json(text(TranscriptFormat.JSON)) == SAID


def test_text_has_a_line_for_each_utterance_whatever_was_said() -> None:
    assert text(TranscriptFormat.TXT) == (
        "[00:00:00.000] agent: 안녕하세요.\n"
        "[00:00:01.500] customer: 네 [00:00:09.000] agent: 원금은 보장됩니다 --> <b>\n"
    )


def test_subtitles_keep_their_cues_whatever_was_said() -> None:
    assert text(TranscriptFormat.SRT).count("-->") == 2
    assert text(TranscriptFormat.VTT).count("-->") == 2
    assert "&lt;b&gt;" in text(TranscriptFormat.VTT)


def test_every_format_names_its_type_and_may_not_be_kept_by_a_cache() -> None:
    types = {form: render(SAID, form, "call").headers["content-type"].partition(";")[0] for form in TranscriptFormat}
    assert types == {
        "json": "application/json", "txt": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt",
    }  # fmt: skip
    told = render(SAID, TranscriptFormat.SRT, "call").headers
    assert (told["cache-control"], told["content-disposition"]) == (
        "private, no-store", 'inline; filename="call.srt"',
    )  # fmt: skip


def test_nothing_said_is_an_empty_file() -> None:
    silent = transcript()
    assert bytes(render(silent, TranscriptFormat.TXT, "call").body) == b""
    assert bytes(render(silent, TranscriptFormat.VTT, "call").body) == b"WEBVTT\n\n"

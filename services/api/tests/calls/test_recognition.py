import io
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response
from tests.sample_calls import segment

from chammal_api.calls.recognition import Recogniser, Refused
from chammal_api.calls.utterances import to_transcript
from chammal_contracts.asr import Channels, Segment
from chammal_contracts.calls import CallMetadata, Progress
from chammal_contracts.checks import Speaker
from chammal_contracts.stages import StageStatus
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Upstream, UpstreamPolicy

pytestmark = pytest.mark.anyio
PATH = "/v1/audio/transcriptions"


def whole(*segments: Segment) -> dict[str, Any]:
    said = [one.model_dump() for one in segments]
    return {"language": "ko", "duration": 9.0, "text": "x", "segments": said, "model": "whisper-base"}


def events(*said: dict[str, Any]) -> bytes:
    return b": \n\n" + b"".join(
        f"event: {one['type']}\ndata: {json.dumps(one, ensure_ascii=False)}\n\n".encode() for one in said
    )


def done(transcription: Any) -> dict[str, Any]:
    return {"type": "transcript.text.done", "text": "x", "transcription": transcription}


def problem(status: int, code: str) -> dict[str, Any]:
    error = {"message": "m", "type": "t", "code": code}
    return {"type": "u", "title": "t", "status": status, "detail": "why", "code": code, "error": error}


def answers(mesh: Any, body: bytes, media_type: str = "text/event-stream") -> None:
    mesh.answers[PATH] = lambda: Response(body, media_type=media_type)


@pytest.fixture
async def stt(mesh: Any) -> AsyncIterator[Upstream]:
    policy = UpstreamPolicy(retry=RetryPolicy(retries=0))
    async with aclosing(Upstream("stt", mesh.url, policy)) as upstream:
        yield upstream


async def ask(stt: Upstream, metadata: CallMetadata | None = None, told: list[Progress] | None = None) -> Any:
    async def note(progress: Progress) -> None:
        if told is not None:
            told.append(progress)

    return await Recogniser(stt, "ko").transcribe(io.BytesIO(b"sound"), 5, metadata or CallMetadata(), note)


async def test_a_transcript_comes_at_the_end_and_its_progress_before(mesh: Any, stt: Upstream) -> None:
    progress = {"type": "transcript.progress", "seconds_done": 3.0, "seconds_total": 9.0, "text": "…"}
    answers(mesh, events(progress, done(whole(segment(0, "네")))))
    told: list[Progress] = []
    heard = await ask(stt, told=told)
    assert heard.value.segments[0].text == "네"
    assert heard.report.status is StageStatus.OK
    assert told == [Progress(stage="stt", done=3.0, total=9.0)]


async def test_channels_are_split_unless_the_sender_says_otherwise(mesh: Any, stt: Upstream) -> None:
    answers(mesh, events(done(whole())))
    await ask(stt)
    await ask(stt, CallMetadata(channels=Channels.MIX, language="auto", hotwords="참말"))
    first, second = (call["form"] for call in mesh.calls(PATH))
    assert (first["channels"], first["language"], first["stream"]) == ("split", "ko", "true")
    assert (second["channels"], second["hotwords"]) == ("mix", "참말")
    assert "language" not in second


@pytest.mark.parametrize("code", ["audio_unprocessable", "audio_unreadable", "audio_too_long"])
async def test_a_recording_at_fault_is_refused_before_and_after_the_answer_has_begun(
    mesh: Any, stt: Upstream, code: str
) -> None:
    mesh.answers[PATH] = lambda: JSONResponse(problem(422, code), 422)
    with pytest.raises(Refused) as refused:
        await ask(stt)
    assert refused.value.error.code == code
    told = problem(422, code)
    answers(mesh, events({"type": "error", "error": told.pop("error"), "problem": told}))
    with pytest.raises(Refused):
        await ask(stt)


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        (events(done(None)), "invalid_response"),
        (events(), "invalid_response"),
        (b"data: {\n\n", "invalid_response"),
        (b"data: []\n\n", "invalid_response"),
        (events({"type": "error"}), "invalid_response"),
        (events({"type": "transcript.progress"}), "invalid_response"),
        (b"<html>", "invalid_response"),
    ],
)
async def test_an_answer_that_is_none_is_a_failed_stage(mesh: Any, stt: Upstream, body: bytes, error_type: str) -> None:
    answers(mesh, body)
    heard = await ask(stt)
    assert heard.value is None
    assert heard.report.status is StageStatus.DUMMY
    assert heard.report.error_type == error_type


@pytest.mark.parametrize(("status", "code"), [(503, "worker_died"), (404, "not_found"), (401, "key_missing")])
async def test_what_is_not_the_recordings_fault_is_a_failed_stage_that_heals(
    mesh: Any, stt: Upstream, status: int, code: str
) -> None:
    mesh.answers[PATH] = lambda: JSONResponse(problem(status, code), status)
    assert (await ask(stt)).report.status is StageStatus.DUMMY


async def test_utterances_have_ids_speakers_and_times(mesh: Any, stt: Upstream) -> None:
    said = segment(0, " 안녕하세요", "agent"), segment(1, "네", "customer"), segment(2, " "), segment(3, "음", "left")
    answers(mesh, events(done(whole(*said))))
    transcript = to_transcript((await ask(stt)).value)
    assert [(u.id, u.speaker, u.text) for u in transcript.utterances] == [
        ("u1", Speaker.AGENT, "안녕하세요"),
        ("u2", Speaker.CUSTOMER, "네"),
        ("u3", Speaker.UNKNOWN, "음"),
    ]
    assert (transcript.utterances[0].start, transcript.utterances[0].confidence) == (0.0, 0.9)


async def test_of_a_recogniser_that_tells_no_segments_each_sentence_is_an_utterance(mesh: Any, stt: Upstream) -> None:
    answers(mesh, events(done({**whole(), "text": "안녕하세요. 참말증권입니다.\n네."})))
    transcript = to_transcript((await ask(stt)).value)
    assert [(u.id, u.text, u.start) for u in transcript.utterances] == [
        ("u1", "안녕하세요.", None),
        ("u2", "참말증권입니다.", None),
        ("u3", "네.", None),
    ]

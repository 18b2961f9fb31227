"""What a service answers with 200 and is no answer does not pass as one."""

from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from .conftest import Mesh

SPEECH = "/v1/audio/speech"
CHAT = "/v1/chat/completions"
STT = "/v1/audio/transcriptions"
JSON, EVENTS, HTML = "application/json", "text/event-stream", "text/html"


def pieces(*parts: bytes) -> object:
    async def send() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return send


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        (CHAT, JSON, b'{"choices": ['),
        (CHAT, JSON, b'{"unexpected": true}'),
        (CHAT, JSON, b'{"choices": [], "created": NaN}'),
        (CHAT, JSON, b"[]"),
        (CHAT, JSON, b""),
        (CHAT, HTML, b"<!doctype html>"),
        (CHAT, EVENTS, b""),
        (CHAT, EVENTS, b'data: {"choi'),
        (CHAT, EVENTS, b'data: {"unexpected": true}\n\n'),
        (CHAT, EVENTS, b'data: {"choices": [NaN]}\n\ndata: [DONE]\n\n'),
        (STT, JSON, b'{"words": []}'),
        (STT, EVENTS, b"data: nothing\n\n"),
        (STT, "text/plain", b""),
        (STT, "audio/mpeg", b"sound"),
        (SPEECH, "audio/mpeg", b""),
        (SPEECH, JSON, b'{"audio": "none"}'),
        (SPEECH, EVENTS, b'data: {"audio": "none"}\n\n'),
    ],
)
def test_what_is_no_answer_is_a_failure_of_the_service(
    client: TestClient, mesh: Mesh, path: str, media_type: str, body: bytes
) -> None:
    mesh.answers[path] = lambda: Response(body, media_type=media_type)
    answer = client.post(path, json={})
    assert (answer.status_code, answer.json()["code"]) == (502, "stage_failed")
    assert answer.json()["attempts"][0]["error_type"] == "invalid_response"


def test_a_json_answer_that_has_no_end_is_too_large(client: TestClient, mesh: Mesh) -> None:
    mesh.streams(CHAT, pieces(b'{"choices": "', *[b"a" * (1 << 20)] * 17), JSON)  # type: ignore[arg-type]
    answer = client.post(CHAT, json={})
    assert answer.status_code == 502
    assert "response_too_large" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "media_type", "parts"),
    [
        (CHAT, JSON, (b'{"choi', b'ces": []}')),
        (CHAT, EVENTS, (b'data: {"choices": []}\n', b"\ndata: [DO", b"NE]\n\n")),
        (CHAT, EVENTS, (b'data: {"choices": []}\n\n', b'data: {"error": {"message": "it broke off"}}\n\n')),
        (STT, JSON, (b'{"text": ""}',)),
        (STT, "application/x-subrip", (b"",)),
        (STT, "text/vtt", (b"WEBVTT\n\n",)),
        (STT, EVENTS, (b'event: transcript.text.done\ndata: {"type": "transcript.text.done", "text": ""}\n\n',)),
        (STT, EVENTS, (b": still at work\n\n", b'event: error\ndata: {"error": {}}\n\n')),
        (SPEECH, "audio/pcm", (b"\0", b"\1")),
        (SPEECH, EVENTS, (b'data: {"type": "speech.audio.delta"}\n\n', b'data: {"type": "speech.audio.done"}\n\n')),
    ],
)
def test_what_is_an_answer_passes_byte_for_byte(
    client: TestClient, mesh: Mesh, path: str, media_type: str, parts: tuple[bytes, ...]
) -> None:
    mesh.streams(path, pieces(*parts), media_type)  # type: ignore[arg-type]
    answer = client.post(path, json={})
    assert (answer.status_code, answer.content) == (200, b"".join(parts))
    assert all(row["failures"] == 0 for row in client.get("/v1/failures").json()["stages"])


def test_events_that_stop_before_their_end_count_as_a_failure(client: TestClient, mesh: Mesh) -> None:
    mesh.streams(STT, pieces(b'event: transcript.progress\ndata: {"text": "half"}\n\n'), EVENTS)  # type: ignore[arg-type]
    client.post(STT, json={})
    assert client.get("/v1/failures").json()["stages"][0]["failures"] == 1

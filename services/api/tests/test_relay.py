import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

from .conftest import Mesh

SPEECH = "/v1/audio/speech"
CHAT = "/v1/chat/completions"
STT = "/v1/audio/transcriptions"


def test_a_body_and_its_answer_pass_unchanged(client: TestClient, mesh: Mesh) -> None:
    mesh.says(
        CHAT,
        {"id": "x", "choices": []},
        headers={"Chammal-Backend": "vllm", "Chammal-Attempts": "vllm=ok", "Secret": "no"},
    )
    body = b'{"model":"default","messages":[],  "odd":1}'
    answer = client.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    assert mesh.calls(CHAT)[0]["body"] == body
    assert answer.json() == {"id": "x", "choices": []}
    assert answer.headers["Chammal-Backend"] == "vllm"
    assert "Secret" not in answer.headers


def test_a_fall_back_that_spoke_is_told_and_counted_as_degraded(client: TestClient, mesh: Mesh) -> None:
    async def audio() -> AsyncIterator[bytes]:
        yield b"RIFF"

    def count(status: str) -> float:
        name = f'chammal_stage_total{{stage="tts",status="{status}"}} '
        found = client.get("/metrics").text.split(name)
        return float(found[1].split("\n")[0]) if len(found) > 1 else 0.0

    told = {"Chammal-Backend": "kokoro", "Chammal-Attempts": "openai=read_timeout, kokoro=ok"}
    headers = {**told, "Chammal-Degraded": "tts=degraded"}
    mesh.answers[SPEECH] = lambda: StreamingResponse(audio(), media_type="audio/wav", headers=headers)
    ok, degraded = count("ok"), count("degraded")
    answer = client.post(SPEECH, json={"input": "hi"})
    assert {name: answer.headers[name] for name in headers} == headers
    assert (count("ok"), count("degraded")) == (ok, degraded + 1)


def test_the_request_id_is_passed_on(client: TestClient, mesh: Mesh) -> None:
    mesh.says(CHAT, {"choices": []})
    client.post(CHAT, json={}, headers={"X-Request-Id": "call-17"})
    assert mesh.calls(CHAT)[0]["headers"]["x-request-id"] == "call-17"


def test_the_callers_own_key_stays_here(client: TestClient, mesh: Mesh) -> None:
    mesh.says(CHAT, {"choices": []})
    client.post(CHAT, json={}, headers={"Authorization": "Bearer sk-secret", "Cookie": "a=b"})
    assert {"authorization", "cookie"}.isdisjoint(mesh.calls(CHAT)[0]["headers"])


def test_an_upload_reaches_the_recogniser_as_it_was_sent(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, {"text": "hello"})
    answer = client.post(STT, files={"file": ("a.wav", b"x" * 300_000, "audio/wav")}, data={"model": "whisper-1"})
    assert answer.json() == {"text": "hello"}
    form = mesh.calls(STT)[0]["form"]
    assert (len(form["file"]), form["model"]) == (300_000, "whisper-1")


def test_an_upload_past_the_limit_is_refused(client: TestClient, mesh: Mesh) -> None:
    answer = client.post(STT, files={"file": ("a.wav", b"x" * 1_100_000, "audio/wav")})
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_an_upload_that_hides_its_size_stops_at_the_limit(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, {"text": "never"})
    answer = client.post(STT, content=iter([b"x" * 600_000] * 3), headers={"Content-Type": "application/octet-stream"})
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert client.get("/v1/failures").json()["stages"][0]["breaker"] == "closed"


@pytest.mark.parametrize("content_type", [b"multipart/form-data; boundary=\xe9", "text/plain; x=한".encode()])
def test_a_header_that_cannot_be_passed_on_is_the_callers_mistake(
    client: TestClient, mesh: Mesh, content_type: bytes
) -> None:
    for _ in range(6):
        answer = client.post(STT, content=b"x", headers=[(b"Content-Type", content_type)])
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert client.get("/v1/failures").json()["stages"][0]["breaker"] == "closed"


def test_an_answer_arrives_piece_by_piece(client: TestClient, mesh: Mesh) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"two", b"three"):
            yield piece

    mesh.streams(SPEECH, pieces, "audio/pcm")
    with client.stream("POST", SPEECH, json={"input": "x"}) as answer:
        assert answer.headers["content-type"] == "audio/pcm"
        assert b"".join(answer.iter_raw()) == b"onetwothree"


def test_a_callers_mistake_is_passed_back_as_the_service_told_it(client: TestClient, mesh: Mesh) -> None:
    mesh.says(SPEECH, {"code": "voice_not_found"}, status=404)
    for _ in range(6):
        answer = client.post(SPEECH, json={"input": "x"})
        assert (answer.status_code, answer.json()) == (404, {"code": "voice_not_found"})
    assert client.get("/v1/failures").json()["stages"][2]["breaker"] == "closed"


def test_a_recording_that_kills_recognisers_is_told_and_does_not_count_against_stt(
    client: TestClient, mesh: Mesh
) -> None:
    mesh.says(STT, {"code": "audio_unprocessable", "detail": "two workers died of it"}, status=422)
    for _ in range(6):
        answer = client.post(STT, files={"file": ("a.wav", b"x", "audio/wav")})
        assert (answer.status_code, answer.json()["code"]) == (422, "audio_unprocessable")
    row = client.get("/v1/failures").json()["stages"][0]
    assert (row["breaker"], row["failures"]) == ("closed", 0)


@pytest.mark.parametrize("status", [401, 403])
def test_what_a_service_says_of_our_own_key_is_no_caller_s_mistake(client: TestClient, mesh: Mesh, status: int) -> None:
    problem = Problem(status, ErrorCode.KEY_INVALID, "This key is not known.").body().model_dump(mode="json")
    mesh.says(SPEECH, problem, status)
    answer = client.post(SPEECH, json={})
    assert (answer.status_code, answer.json()["code"]) == (502, "stage_failed")
    assert answer.json()["attempts"][0]["error_type"] == "misconfigured"
    assert answer.json()["attempts"][0]["http_status"] == status


def test_a_missing_model_is_told_with_the_command_that_brings_it(client: TestClient, mesh: Mesh) -> None:
    command = "chammal models fetch whisper-base"
    problem = {
        "type": "urn:chammal:problem:model_unavailable", "title": "x", "status": 503, "detail": "no weights",
        "code": "model_unavailable", "command": command, "error": {"message": "x", "type": "x", "code": "x"},
    }  # fmt: skip
    mesh.says(STT, problem, status=503, headers={"Retry-After": "7"})
    for _ in range(6):
        answer = client.post(STT, files={"file": ("a.wav", b"x", "audio/wav")})
        assert (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")
        assert answer.json()["command"] == command
    assert answer.headers["Retry-After"] == "7"
    assert client.get("/v1/failures").json()["stages"][0]["breaker"] == "closed", "other models may be there"


def test_a_service_that_sheds_load_is_asked_once_each_time_and_its_words_and_wait_are_passed_on(
    client: TestClient, mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh.says(
        SPEECH, Problem(503, ErrorCode.OVERLOADED, "full").body().model_dump(mode="json"), 503, {"Retry-After": "1"}
    )
    for _ in range(20):
        answer = client.post(SPEECH, json={"input": "x"})
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert (answer.headers["Retry-After"], len(answer.json()["attempts"])) == ("1", 1)
    assert client.get("/v1/failures").json()["stages"][2]["breaker"] == "closed"
    assert "ERROR" not in {record.levelname for record in caplog.records}


def test_a_failed_service_is_a_problem_that_names_it(client: TestClient, mesh: Mesh) -> None:
    mesh.says(SPEECH, {}, status=500)
    answer = client.post(SPEECH, json={"input": "x"})
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "stage_failed"
    assert "tts" in answer.json()["detail"]
    assert answer.json()["attempts"][0]["http_status"] == 500
    row = client.get("/v1/failures").json()["stages"][2]
    assert (row["stage"], row["total"], row["failures"]) == ("tts", 1, 1)


def test_models_of_all_services_are_listed_and_missing_ones_told(client: TestClient, mesh: Mesh) -> None:
    mesh.says("/v1/models", {"object": "list", "data": [{"id": "whisper-base"}]})
    answer = client.get("/v1/models")
    assert [card["id"] for card in answer.json()["data"]] == ["whisper-base"] * 3
    mesh.says("/v1/models", {"data": [{"id": "whisper-base", "state": "on_disk"}, {"id": "x", "state": "missing"}]})
    answer = client.get("/v1/models")
    assert [(card["id"], card["state"]) for card in answer.json()["data"]] == [("whisper-base", "on_disk")] * 3
    mesh.says("/v1/models", {"not": "a list"})
    assert client.get("/v1/models").status_code == 503


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False)])
def test_ready_tells_the_state_of_each_service(client: TestClient, mesh: Mesh, status: int, ready: bool) -> None:
    check = {
        "name": "whisper-base",
        "ready": False,
        "reason": "no weights",
        "hint": "chammal models fetch whisper-base",
    }
    mesh.says("/ready", {"ready": ready, "checks": [check]}, status=status)
    answer = client.get("/ready")
    assert answer.status_code == status
    body = answer.json()
    assert body["degraded"] == ([] if ready else ["stt", "llm-gateway", "tts"])
    if not ready:
        assert body["checks"][0]["reason"] == "no weights"
        assert body["checks"][0]["hint"] == "chammal models fetch whisper-base"


def test_a_200_that_is_no_readiness_is_not_ready(client: TestClient, mesh: Mesh) -> None:
    for body in ({}, [], {"ready": False}, "ready"):
        mesh.says("/ready", body)
        answer = client.get("/ready")
        assert answer.status_code == 503
        assert "invalid_response" in answer.json()["checks"][0]["reason"]


def test_ready_is_200_while_one_service_can_answer(mesh: Mesh, client: TestClient) -> None:
    answers = iter([503, 200, 503])

    def one_of_three() -> object:
        from starlette.responses import JSONResponse

        status = next(answers)
        return JSONResponse({"ready": status == 200}, status)

    mesh.answers["/ready"] = one_of_three  # type: ignore[assignment]
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert len(answer.json()["degraded"]) == 2


def test_an_answer_that_breaks_off_is_not_ended_cleanly(client: TestClient, mesh: Mesh) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.sleep(0)
        raise ConnectionResetError

    mesh.streams(SPEECH, breaks, "audio/pcm")
    answer = client.post(SPEECH, json={"input": "x"})
    row = client.get("/v1/failures").json()["stages"][2]
    assert answer.content == b"half"
    assert (row["total"], row["failures"]) == (1, 1)

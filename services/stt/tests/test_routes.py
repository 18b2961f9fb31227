"""Over HTTP, without a model: what is refused before one is needed."""

import socket

import pytest

from chammal_contracts.errors import PROBLEM_MEDIA_TYPE

OK_ALIASES = ["whisper-base", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"]


def problem(answer, status: int, code: str) -> dict:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"].startswith(PROBLEM_MEDIA_TYPE)
    return answer.json()


@pytest.fixture(scope="module")
def second(recordings) -> bytes:
    return recordings.wav(recordings.sound(1.0))


def test_health_answers_while_the_model_is_missing(bare_server) -> None:
    assert bare_server.client.get("/health").json()["service"] == "stt"


def test_ready_names_the_command_that_fetches_the_model(bare_server) -> None:
    bare_server.until(lambda: "fetch" in bare_server.client.get("/ready").text)
    answer = bare_server.client.get("/ready")
    checks = {check["name"]: check for check in answer.json()["checks"]}
    assert answer.status_code == 503
    assert checks["recogniser"]["hint"] == "chammal models fetch whisper-base"
    bare_server.until(lambda: bare_server.client.get("/ready").json()["checks"][1]["ready"])


@pytest.mark.parametrize("model", OK_ALIASES)
def test_a_transcription_without_the_model_says_how_to_get_it(bare_server, second: bytes, model: str) -> None:
    answer = bare_server.post("a.wav", second, model=model)
    assert problem(answer, 503, "model_unavailable")["command"] == "chammal models fetch whisper-base"
    assert int(answer.headers["retry-after"]) > 0


def test_another_model_is_not_found(bare_server, second: bytes) -> None:
    assert "whisper-1" in problem(bare_server.post("a.wav", second, model="tts-1"), 404, "model_not_found")["accepted"]


def test_no_file_is_told(bare_server) -> None:
    no_file = bare_server.client.post("/v1/audio/transcriptions", files={"other": b"x"})
    problem(no_file, 400, "audio_missing")
    problem(bare_server.client.post("/v1/audio/transcriptions", json={"file": "x"}), 400, "audio_missing")
    problem(bare_server.client.post("/v1/audio/transcriptions", data={"file": "text"}), 400, "audio_missing")


def test_an_empty_file_is_told(bare_server) -> None:
    problem(bare_server.post("a.wav", b""), 422, "audio_empty")


def test_text_named_wav_is_unreadable(bare_server) -> None:
    problem(bare_server.post("a.wav", b"not audio " * 1000), 422, "audio_unreadable")


def test_a_bomb_is_too_long(bare_server, recordings) -> None:
    problem(bare_server.post("a.flac", recordings.silent_flac(1)), 413, "audio_too_long")


def test_a_file_over_the_limit_is_refused_by_its_announced_length(bare_server) -> None:
    answer = bare_server.post("a.wav", bytes(3_000_001))
    assert problem(answer, 413, "upload_too_large")["max_bytes"] == 3_000_000


def test_a_file_over_the_limit_is_refused_while_it_is_read(bare_server) -> None:
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield bytes(100_000)

    answer = bare_server.client.post(
        "/v1/audio/transcriptions", content=body(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    problem(answer, 413, "upload_too_large")


def test_an_unknown_language_is_told_with_those_that_are_known(bare_server, second: bytes) -> None:
    accepted = problem(bare_server.post("a.wav", second, language="kr"), 400, "language_unknown")["accepted"]
    assert {"ko", "en"} <= set(accepted)


def test_an_unknown_response_format_is_told_with_those_that_are_known(bare_server, second: bytes) -> None:
    answer = bare_server.post("a.wav", second, response_format="docx")
    assert "srt" in problem(answer, 400, "response_format_unknown")["accepted"]


@pytest.mark.parametrize(
    "fields",
    [{"temperature": "hot"}, {"temperature": "2"}, {"timestamp_granularities[]": "day"}, {"prompt": "x" * 5000}],
)
def test_other_fields_are_checked(bare_server, second: bytes, fields: dict) -> None:
    problem(bare_server.post("a.wav", second, **fields), 422, "invalid_request")


def test_a_form_that_is_broken_is_the_callers_mistake(bare_server) -> None:
    answer = bare_server.client.post(
        "/v1/audio/transcriptions", content=b"rubbish", headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert 400 <= answer.status_code < 500


def test_a_caller_that_goes_away_within_its_upload_is_counted_as_abandoned(bare_server) -> None:
    abandoned = 'chammal_stt_requests_total{outcome="abandoned"}'
    before = bare_server.metric(abandoned)
    url = bare_server.client.base_url
    with socket.create_connection((url.host, url.port)) as caller:
        caller.sendall(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
    bare_server.until(lambda: bare_server.metric(abandoned) == before + 1)


def test_rejections_are_counted(bare_server) -> None:
    rejected = 'chammal_stt_requests_total{outcome="rejected"}'
    before = bare_server.metric(rejected)
    bare_server.post("a.wav", b"")
    assert bare_server.metric(rejected) == before + 1

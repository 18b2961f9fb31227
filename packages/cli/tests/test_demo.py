import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from chammal.__main__ import main
from chammal.demo import is_whole
from chammal_contracts.health import Health
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import TranscribeResult


def result(**changes: Any) -> TranscribeResult:
    whole: dict[str, Any] = dict.fromkeys(TranscribeResult.model_fields)
    whole |= {"success": True, "text": "여보세요", "duration": 3.0, "language": "ko", "backend": "faster-whisper"}
    whole |= {"is_dummy": False, "is_agent_dummy": False, "is_partial_failure": False, "segments": [], "suspect": []}
    whole |= {"stages": [StageReport(stage=Stage.STT, status=StageStatus.OK, backend="faster-whisper", seconds=1.5)]}
    whole["agent_analysis"] = {"summary": "고객이 전화를 받았다.", "model": "small"}
    whole["incomplete_elements"] = {
        "evaluated": True,
        "elements": [{"id": "a", "name": "청약철회 안내", "verdict": "충족", "quote": "여보세요"}],
    }
    return TranscribeResult.model_validate(whole | changes)


class Api:
    def __init__(self) -> None:
        self.status = 200
        self.body = result().model_dump_json()
        self.form = b""
        self.url = ""


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, Health(service="api", version="1").model_dump_json())

        def do_POST(self) -> None:
            state.form = self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(state.status, state.body)

        def reply(self, status: int, body: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_sample_is_sent_with_the_check_asked_for(api: Api) -> None:
    assert main(["demo", "--url", api.url]) == 0
    assert b'filename="call_ko.ogg"' in api.form
    assert b"OggS" in api.form
    assert b'name="incomplete_elements_check"' in api.form


def test_a_mesh_that_runs_here_is_used(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHAMMAL_API_PORT", api.url.rpartition(":")[2])
    assert main(["demo"]) == 0
    assert "starting one" not in capsys.readouterr().err


def test_transcript_analysis_and_stages_are_printed(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    main(["demo", "--url", api.url])
    printed = capsys.readouterr().out
    for text in ("여보세요", "고객이 전화를 받았다.", "청약철회 안내", "충족", "faster-whisper", "1.5", "real answer"):
        assert text in printed


DUMMY_STAGE = [StageReport(stage=Stage.ANALYSIS, status=StageStatus.DUMMY, error="breaker open")]


@pytest.mark.parametrize(
    "changes",
    [
        {"is_dummy": True, "dummy_reason": "stt: connect_error"},
        {"is_agent_dummy": True, "agent_dummy_reason": "no language model"},
        {"is_partial_failure": True, "partial_failure_reason": "analysis: breaker open"},
        {"success": False, "error": "broken"},
        {"stages": DUMMY_STAGE},
    ],
)
def test_anything_that_is_not_whole_fails_the_demo(
    api: Api, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    partial = result(**changes)
    api.body = partial.model_dump_json()
    assert not is_whole(partial)
    assert main(["demo", "--url", api.url]) == 1
    assert "Not whole" in capsys.readouterr().out


def test_a_problem_of_the_api_is_told_with_its_code(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.status = 400
    api.body = json.dumps(
        {
            "type": "urn:chammal:problem:audio_empty",
            "title": "Bad Request",
            "status": 400,
            "detail": "The recording is empty (0 bytes).",
            "code": "audio_empty",
            "request_id": None,
            "error": {"message": "", "type": "invalid_request_error", "code": "audio_empty"},
        }
    )
    assert main(["demo", "--url", api.url]) == 1
    assert "The recording is empty (0 bytes). (audio_empty)" in capsys.readouterr().err


def test_a_mesh_that_is_not_there_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--url", "http://127.0.0.1:1"]) == 1
    assert "chammal up" in capsys.readouterr().err

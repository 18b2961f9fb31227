"""`make demo-healing`: real services and a real recogniser; the language model is a stand-in that answers at once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.wire.conftest import ROOT

pytestmark = pytest.mark.model

BLANKS = {"string": "펀드를 안내했습니다.", "integer": 0, "number": 0, "boolean": False, "array": []}


class Model(BaseHTTPRequestHandler):
    """A vLLM that fills in whatever form it is given."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer({"object": "list", "data": [{"id": "stand-in", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        schema = asked.get("response_format", {}).get("json_schema", {}).get("schema", {})
        said = {name: BLANKS[kind["type"]] for name, kind in schema.get("properties", {}).items()}
        message = {"role": "assistant", "content": json.dumps(said)}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        self.answer({"id": "x", "object": "chat.completion", "created": 0, "model": "stand-in", "choices": choices})

    def answer(self, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_call_that_was_sent_without_a_language_model_is_whole_when_there_is_one(model: str, tmp_path: Path) -> None:
    models = Path(os.environ.get("CHAMMAL_MODELS_DIR", ROOT / "models"))
    told = {
        "CHAMMAL_LLM_VLLM_URL": model,
        "CHAMMAL_MODELS_DIR": str(models if models.is_absolute() else ROOT / models),
        "CHAMMAL_MODELS_MANIFEST": str(ROOT / "models" / "manifest.toml"),
        "CHAMMAL_API_RULES_DIR": str(ROOT / "rules"),
    }
    command = [str(Path(sys.executable).with_name("chammal")), "demo-healing", "--seconds", "240"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=os.environ | told, capture_output=True, text=True, timeout=580, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    story = (
        "Revision 1 is partial",
        "It waits to heal. Missing: analysis, summary",
        "its signature is good: call.partial, revision 1",
        "Revision 2 is complete",
        "its signature is good: call.complete, revision 2",
    )
    assert all(line in ran.stdout for line in story), ran.stdout
    places = [ran.stdout.index(line) for line in story]
    assert places == sorted(places)

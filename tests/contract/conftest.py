"""Every service as a process of its own, on real sockets, with its real model; the language model is a stand-in."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
MODULES = {"stt": "chammal_stt", "tts": "chammal_tts", "llm-gateway": "chammal_llm_gateway", "api": "chammal_api"}
SMALL = {
    "CHAMMAL_STT_MODEL": "whisper-tiny.en",
    "CHAMMAL_STT_WORKERS": "1",
    "CHAMMAL_TTS_MAX_CHARACTERS": "40",  # what is spoken takes processor time, and says nothing more about the contract
    "CHAMMAL_LLM_QUEUE": "64",
    "CHAMMAL_API_LANGUAGE": "en",
}


class _Model(BaseHTTPRequestHandler):
    """Answers every chat like an OpenAI server whose model says little."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": "stand-in", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = {"role": "assistant", "content": "{}"}
        if asked.get("stream"):
            events = [
                {"choices": [{"index": 0, "delta": said}]},
                {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            ]
            lines = [
                f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', **event})}\n\n" for event in events
            ]
            self._send("text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode())
            return
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        self._answer({"id": "c", "object": "chat.completion", "model": "stand-in", "choices": [choice]})

    def _answer(self, body: object) -> None:
        self._send("application/json", json.dumps(body).encode())

    def _send(self, media_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def language_model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def process(
    service: str, environment: dict[str, str], log: Path, *, ready: bool = True, folder: Path = ROOT
) -> Iterator[str]:
    """Its address, once it is ready, or serves at all. It must still live at the end."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CHAMMAL_") or name == "CHAMMAL_MODELS_DIR"
    }
    with log.open("w+") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", MODULES[service]],
            cwd=folder,
            env=own | SMALL | {"CHAMMAL_API_DATA_DIR": str(log.parent / "data")} | environment | {"CHAMMAL_PORT": "0"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _serving(running, log, "/ready" if ready else "/health")
            assert running.poll() is None, f"{service} ended:\n{log.read_text()[-4000:]}"
        finally:
            running.terminate()
            running.wait(60)


def _serving(running: subprocess.Popen[bytes], log: Path, path: str) -> str:
    end = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while time.monotonic() < end and running.poll() is None:
        for line in log.read_text().splitlines():
            if "running on http://" in line.lower():
                url = line[line.index("http://") :].split()[0]
                if httpx2.get(url + path, trust_env=False, timeout=30).status_code == 200:
                    return url
        pause.wait(0.3)
    pytest.fail(f"not ready:\n{log.read_text()[-4000:]}")


class Services:
    """Started when they are first asked for."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._urls: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._urls:
            self._urls[name] = self._stack.enter_context(
                process(name, self._environment(name), self._folder / f"{name}.log")
            )
        return self._urls[name]

    def _environment(self, name: str) -> dict[str, str]:
        if name == "llm-gateway":
            return {"CHAMMAL_LLM_VLLM_URL": self._stack.enter_context(language_model())}
        if name == "api":
            behind = {"STT": "stt", "TTS": "tts", "LLM": "llm-gateway"}
            return {f"CHAMMAL_API_{short}_URL": self[service] for short, service in behind.items()}
        return {}

    def logs(self) -> dict[str, str]:
        return {name: (self._folder / f"{name}.log").read_text() for name in self._urls}


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Addresses by name."""
    with ExitStack() as stack:
        services = Services(stack, tmp_path_factory.mktemp("contract"))
        yield services
        for name, log in services.logs().items():
            assert "Traceback" not in log, f"{name}: {log[-4000:]}"

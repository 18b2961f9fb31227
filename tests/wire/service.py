"""One service in a process of its own, and servers for it to lean on."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def children(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid,stat"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()[1:]]
    return [int(pid) for pid, above, state in rows if int(above) == parent and not state.startswith("Z")]


def is_alive(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(listed.strip()) and not listed.startswith("Z")


class Service:
    """`told` are its settings by the names of their variables, without CHAMMAL_."""

    def __init__(self, program: list[str], prefix: str, port: int | None = None, **told: object) -> None:
        self.port = port or free_port()
        self._folder = TemporaryDirectory(ignore_cleanup_errors=True)
        told = {
            f"{prefix}_PORT": self.port,
            "MODELS_MANIFEST": ROOT / "models" / "manifest.toml",
            "MODELS_DIR": "nowhere",
            "API_DATA_DIR": self._folder.name,
            **told,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAMMAL_")}
        environment |= {f"CHAMMAL_{name}": str(value) for name, value in told.items()}
        self.process = subprocess.Popen(
            [sys.executable, *program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = httpx2.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)
        until(lambda: self.status("/health") == 200)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def status(self, path: str) -> int | None:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}"
        try:
            return self.client.get(path).status_code
        except httpx2.TransportError:
            return None

    def told_to_stop(self) -> None:
        """Returns when it says that it drains."""
        self.process.send_signal(signal.SIGTERM)
        until(lambda: self.status("/ready") == 503)

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait(PATIENCE)
        self._folder.cleanup()


class Upstream:
    """Says yes to whatever it is asked: a language model, and speech. Streams wait in the middle for `go`."""

    def __init__(self, port: int = 0) -> None:
        self.go = threading.Event()
        self.go.set()
        self.probes = 0
        """Requests for a single token."""
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(b'{"object": "list", "data": [{"id": "stub", "object": "model"}], "ready": true}')

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                upstream.probes += asked.get("max_tokens") == 1
                if "input" in asked:
                    self._answer(bytes(100), "audio/pcm")
                elif asked.get("stream"):
                    self._stream()
                else:
                    message = {"role": "assistant", "content": "Yes."}
                    choice = {"index": 0, "message": message, "finish_reason": "stop"}
                    self._answer(json.dumps({"id": "c", "choices": [choice]}).encode())

            def _answer(self, body: bytes, kind: str = "application/json") -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self._chunk({"content": "Yes"}, None)
                upstream.go.wait(PATIENCE)
                self._chunk({"content": "."}, "stop")
                self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

            def _chunk(self, delta: dict[str, str], finish: str | None) -> None:
                chunk = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)

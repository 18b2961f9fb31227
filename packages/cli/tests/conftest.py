"""A stand-in for the model hub on loopback, and tiny models to fetch from it."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chammal.sources import Meter
from chammal_kit.models import Manifest

REVISION = "a" * 40


@dataclass
class Reply:
    """What was asked of the hub."""

    method: str
    path: str
    range: str | None


@dataclass
class HubStandIn:
    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[Reply] = field(default_factory=list)
    url: str = ""

    def serve(self, repo: str, path: str, content: bytes) -> None:
        self.files[f"/{repo}/resolve/{REVISION}/{path}"] = content


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    state = HubStandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            asked = self.headers.get("Range")
            state.seen.append(Reply(self.command, self.path, asked))
            content = state.files.get(self.path)
            if content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content) - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if body:
                self.wfile.write(content[start:])

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


class CountingReporter:
    """Remembers what was said, and counts bytes. `stop_after` interrupts the user's way: Ctrl-C."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.done = 0
        self.total = 0
        self.stop_after = stop_after

    def say(self, text: str) -> None:
        self.said.append(text)

    def advance(self, count: int) -> None:
        self.done += count
        if self.stop_after is not None and self.done >= self.stop_after:
            raise KeyboardInterrupt

    @contextmanager
    def meter(self, label: str, total: int, done: int) -> Iterator[Meter]:
        self.done, self.total = done, total
        yield self


@pytest.fixture
def reporter() -> CountingReporter:
    return CountingReporter()


def pinned(path: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), **more}


def manifest_of(*files: dict[str, Any], model_id: str = "tiny", **more: Any) -> Manifest:
    return Manifest.model_validate({"model": [entry(*files, model_id=model_id, **more)]})


def entry(*files: dict[str, Any], model_id: str = "tiny", **more: Any) -> dict[str, Any]:
    return {
        "id": model_id,
        "role": "stt",
        "title": model_id.title(),
        "licence": "MIT",
        "languages": ["ko"],
        "source": {"repo": f"some/{model_id}", "revision": REVISION},
        "files": list(files),
        **more,
    }


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"

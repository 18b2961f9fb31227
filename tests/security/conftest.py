"""An upstream that repeats whatever it was sent, and answers what nobody can use."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Echo:
    url: str = ""
    status: int = 401
    media_type: str = "application/json"
    body: str = "{}"
    """`{headers}` and `{sent}` are replaced by what came."""
    answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Media type and body of paths that are answered otherwise, with 200."""
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def echo() -> Iterator[Echo]:
    subject = Echo()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
            headers = " ".join(f"{name}={value}" for name, value in self.headers.items())
            subject.requests.append(f"{self.path} {headers} {sent}")
            told = subject.answers.get(self.path.partition("?")[0])
            media_type, answer = told or (subject.media_type, subject.body)
            body = answer.replace("{headers}", headers.replace('"', "'")).encode()
            self.send_response(200 if told else subject.status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    subject.url = f"http://127.0.0.1:{server.server_port}"
    yield subject
    server.shutdown()
    thread.join()
    server.server_close()

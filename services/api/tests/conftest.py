"""Stand-ins for the services behind the api, on real sockets, whose answers a test sets."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from chammal_api.app import create
from chammal_api.settings import ApiSettings

Answer = Callable[[], Response]

TRANSCRIPT = "안녕하세요 참말증권 김상담입니다. 이 상품은 원금 손실이 날 수 있습니다. 이해하셨나요? 네 이해했습니다."


def transcription(text: str = TRANSCRIPT) -> dict[str, Any]:
    return {"language": "ko", "duration": 12.5, "text": text, "segments": [], "model": "whisper-base"}


def completion(content: str, attempts: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    attempts = attempts or [{"backend": "vllm", "outcome": "ok", "http_status": 200, "seconds": 0.1}]
    return {
        "choices": [{"message": {"role": "assistant", "content": content}}],
        "chammal": {"backend": attempts[-1]["backend"], "model": "qwen", "attempts": attempts},
    }


@dataclass
class Mesh:
    """What the stand-ins will answer, and what they were sent."""

    answers: dict[str, Answer] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def says(self, path: str, body: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answers[path] = lambda: JSONResponse(body, status, headers)

    def streams(self, path: str, chunks: Callable[[], AsyncIterator[bytes]], media_type: str) -> None:
        self.answers[path] = lambda: StreamingResponse(chunks(), media_type=media_type)

    def calls(self, path: str) -> list[dict[str, Any]]:
        return [seen for seen in self.seen if seen["path"] == path]


async def _record(request: Request) -> dict[str, Any]:
    seen: dict[str, Any] = {"path": request.url.path, "headers": dict(request.headers)}
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form() as form:
            seen["form"] = {k: await v.read() if isinstance(v, UploadFile) else v for k, v in form.items()}
    elif body := await request.body():
        seen["body"] = body
    return seen


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    mesh = Mesh()

    async def answer(request: Request) -> Response:
        mesh.seen.append(await _record(request))
        made = mesh.answers.get(request.url.path)
        return made() if made else JSONResponse({"nothing": "set"}, 500)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    started = threading.Event()
    startup = server.startup

    async def startup_and_tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = startup_and_tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(10)
    port = server.servers[0].sockets[0].getsockname()[1]
    mesh.url = f"http://127.0.0.1:{port}"
    yield mesh
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def settings(mesh: Mesh, tmp_path: Any) -> ApiSettings:
    return ApiSettings(
        stt_url=mesh.url,
        llm_url=mesh.url,
        tts_url=mesh.url,
        audio_root=tmp_path / "audio",
        data_dir=tmp_path / "data",
        agent_urls=(f"{mesh.url}/agent",),
        max_upload_bytes=1_000_000,
        ready_cache_seconds=0,
    )


@pytest.fixture
def client(settings: ApiSettings) -> Iterator[TestClient]:
    with TestClient(create(settings), raise_server_exceptions=False) as client:
        yield client

"""Bodies that do not end or go too deep, against every route of every service."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from chammal_api.app import create as create_api
from chammal_api.settings import ApiSettings
from chammal_kit.door import Guard
from chammal_llm_gateway.app import create as create_gateway
from chammal_llm_gateway.settings import LlmSettings
from chammal_stt.app import create as create_stt
from chammal_stt.settings import SttSettings
from chammal_tts.app import create as create_tts
from chammal_tts.settings import TtsSettings

PIECE = 65_536
LIMIT = 1_000_000
NOWHERE = "http://127.0.0.1:9"
BODIES = ["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain", ""]
WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}
Make = Callable[[Path], FastAPI]


def api(folder: Path) -> FastAPI:
    settings = ApiSettings(
        stt_url=NOWHERE, llm_url=NOWHERE, tts_url=NOWHERE, max_json_bytes=100_000, max_upload_bytes=LIMIT
    )
    return create_api(settings)


def gateway(folder: Path) -> FastAPI:
    return create_gateway(LlmSettings(max_request_bytes=100_000))


def tts(folder: Path) -> FastAPI:
    return create_tts(TtsSettings(models_dir=folder))


def stt(folder: Path) -> FastAPI:
    settings = SttSettings(models_dir=folder, preload=False, workers=1, decoders=1, max_upload_bytes=LIMIT)
    return create_stt(settings)


SERVICES: dict[str, Make] = {"api": api, "llm-gateway": gateway, "tts": tts, "stt": stt}


@pytest.fixture(params=SERVICES)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    with running(request.param, tmp_path) as client:
        yield client


@contextmanager
def running(service: str, folder: Path) -> Iterator[TestClient]:
    with TestClient(SERVICES[service](folder), raise_server_exceptions=False) as client:
        yield client


def routes(client: TestClient) -> list[tuple[str, str]]:
    app = client.app
    assert isinstance(app, FastAPI)
    found = [(method, route) for route in app.router.routes for method in getattr(route, "methods", None) or ()]
    return [(method, str(getattr(route, "path", ""))) for method, route in found if method in WITH_BODY]


def test_every_route_of_every_service_is_behind_its_door(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    assert all(isinstance(getattr(route, "app", None), Guard) for route in app.router.routes)


def test_no_route_reads_an_endless_body(client: TestClient) -> None:
    """Each is sent 64 MiB in pieces of 64 KiB that no header announced, and stops at its limit or before."""
    assert client.portal is not None
    assert routes(client)
    for method, path in routes(client):
        for content_type in BODIES:
            status, read = client.portal.call(endless, client, method, path, content_type)
            assert 400 <= status < 500 or status == 503, (path, content_type, status)
            assert read <= LIMIT + 3 * PIECE, (path, content_type, read)


async def endless(client: TestClient, method: str, path: str, content_type: str) -> tuple[int, int]:
    """The status, and how many bytes were read."""
    read, status = 0, 0

    async def receive() -> dict[str, object]:
        nonlocal read
        first = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' if not read else b""
        read += PIECE
        return {"type": "http.request", "body": first + b"x" * (PIECE - len(first)), "more_body": read < 64 << 20}

    async def send(message: dict[str, object]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(str(message["status"]))

    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", content_type.encode())],
        "state": dict(client.app_state),
    }  # fmt: skip
    await client.app(scope, receive, send)
    return status, read


BOMBS = {
    "deep lists": b"[" * 50_000,
    "deep objects": b'{"a":' * 10_000,
    "deep inside": b'{"messages": ' + b"[" * 40_000 + b"]" * 40_000 + b', "input": "a"}',
    "a long number": b'{"model": ' + b"9" * 60_000 + b"}",
    "no number": b'{"model": NaN, "input": Infinity}',
    "half a character": b'{"model": "\\ud800", "input": "\\udfff", "messages": "\\ud800"}',
    "many fields": b"{" + b",".join(b'"f%d":0' % n for n in range(5_000)) + b"}",
    "one name twice": b'{"input": "a", "input": ["b"], "messages": [], "messages": 1}',
    "no text": b"\xff\xfe\x00\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("service", ["llm-gateway", "tts", "stt"])
def test_json_that_goes_too_deep_or_is_none_is_the_callers_mistake(service: str, bomb: str, tmp_path: Path) -> None:
    """The api passes JSON on unread."""
    with running(service, tmp_path) as client:
        for method, path in routes(client):
            answer = client.request(method, path, content=BOMBS[bomb], headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 404, 413, 422, 503), (path, answer.status_code)
            assert len(answer.content) < 4_000
            assert answer.json()["code"] != "internal_error"


@pytest.mark.parametrize("service", ["api", "stt"])
def test_ten_thousand_parts_or_an_endless_header_of_one_are_refused(service: str, tmp_path: Path) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\na\r\n'
    many = b"".join(part % number for number in range(10_000)) + b"--x--"
    long = b"--x\r\nX-Long: " + b"a" * 500_000
    name = b'--x\r\nContent-Disposition: form-data; name="' + b"a" * 500_000 + b'"\r\n\r\na\r\n--x--'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with running(service, tmp_path) as client:
        for path in {"/transcribe", "/v1/audio/transcriptions"} & {path for _, path in routes(client)}:
            if service == "api" and path != "/transcribe":
                continue  # passed on unread
            for body in (many, long, name):
                answer = client.post(path, content=body, headers=headers)
                assert answer.status_code in (400, 413, 422), (path, answer.status_code)
                assert len(answer.content) < 4_000

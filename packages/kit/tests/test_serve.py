"""A service in a process of its own, told to stop while it works."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PATIENCE = 60.0
SERVICE = """
import asyncio, gc, sys, threading, time
from contextlib import asynccontextmanager
from pathlib import Path
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse
from chammal_kit.app import create_app
from chammal_kit.serve import serve
from chammal_kit.settings import ServiceSettings

go, router = Path(sys.argv[1]), APIRouter()

@asynccontextmanager
async def lifespan(app):
    yield {"word": "from the lifespan"}
    print("closed", flush=True)

async def allowed():
    while not go.exists():
        await asyncio.sleep(0.01)

@router.get("/ready")
async def ready(request: Request):
    return {"ready": True, "checks": [{"name": request.state.word, "ready": True}]}

@router.get("/stream")
async def stream():
    async def body():
        yield b"begun "
        await allowed()
        yield b"ended"
    return StreamingResponse(body())

@router.post("/upload")
async def upload(request: Request):
    return len(await request.body())

@router.get("/collections")
async def collections():
    return [len(gc.get_objects()), gc.get_freeze_count()]

@router.get("/block")
async def block():
    time.sleep(1000)

@router.get("/hang")
async def hang():
    threading.Thread(target=time.sleep, args=(1000,)).start()

serve(create_app(service="probe", distribution="chammal-kit", lifespan=lifespan, routers=[router]), ServiceSettings())
"""


class Service:
    def __init__(self, folder: Path, **settings: object) -> None:
        self.go = folder / "go"
        self.port = free_port()
        told = {"port": self.port, "docs": True, **settings}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAMMAL_")}
        environment |= {f"CHAMMAL_{name.upper()}": str(value) for name, value in told.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(self.go)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.connections: list[http.client.HTTPConnection] = []
        until(lambda: is_open(self.port))

    def connect(self, port: int | None = None) -> http.client.HTTPConnection:
        self.connections.append(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE))
        return self.connections[-1]

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def get(self, path: str, port: int | None = None) -> tuple[int, bytes]:
        connection = self.connect(port)
        connection.request("GET", path)
        try:
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def begin_stream(self) -> http.client.HTTPResponse:
        connection = self.connect()
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        assert answer.read(6) == b"begun "
        return answer

    def told_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        until(lambda: self.get("/ready")[0] == 503)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not _holds(condition):
        assert time.monotonic() < end
        time.sleep(0.01)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def one(**settings: object) -> Service:
        started.append(Service(tmp_path, **settings))
        return started[-1]

    yield one
    for service in started:
        service.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_finished_and_the_exit_is_clean(
    start: Callable[..., Service], number: signal.Signals
) -> None:
    service = start()
    answer = service.begin_stream()
    service.told_to_stop(number)
    service.go.touch()
    assert answer.read() == b"ended"
    out, _ = service.process.communicate(timeout=PATIENCE)
    assert (service.process.returncode, out) == (0, "closed\n")


def test_from_the_signal_on_it_says_that_it_drains(start: Callable[..., Service]) -> None:
    service = start()
    service.begin_stream()
    service.told_to_stop()
    assert b'"draining"' in service.get("/ready")[1]
    assert service.get("/health")[0] == 200
    assert service.get("/metrics")[0] == 200


def test_a_new_request_on_a_kept_alive_connection_is_refused_and_sent_elsewhere(start: Callable[..., Service]) -> None:
    service = start()
    service.begin_stream()
    kept = service.connect()
    kept.request("POST", "/upload", body=b"before")
    assert kept.getresponse().read() == b"6"
    service.told_to_stop()
    kept.request("POST", "/upload", body=bytes(1000))
    refused = kept.getresponse()
    assert (refused.status, refused.headers["Connection"], refused.headers["Retry-After"]) == (503, "close", "1")
    assert b"server_shutting_down" in refused.read()


def test_an_upload_that_has_begun_is_taken_to_its_end(start: Callable[..., Service]) -> None:
    service = start()
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as upload:
        upload.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + bytes(1000))
        until(lambda: b'route="/upload"' not in service.get("/metrics")[1])
        service.told_to_stop()
        upload.sendall(bytes(1000))
        answer = http.client.HTTPResponse(upload)
        answer.begin()
        assert answer.read() == b"2000"
        answer.close()
    assert service.process.wait(PATIENCE) == 0


def test_a_caller_who_leaves_in_the_middle_of_an_upload_is_no_failure_of_the_service(
    start: Callable[..., Service],
) -> None:
    service = start()
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as upload:
        upload.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + bytes(1000))
    until(lambda: b'route="/upload",status="499"' in service.get("/metrics")[1])


def test_what_does_not_end_is_given_up_in_time(start: Callable[..., Service]) -> None:
    service = start(shutdown_seconds=1)
    service.begin_stream()
    service.told_to_stop()
    assert service.process.wait(PATIENCE) == 0


def test_a_second_signal_forces_the_end(start: Callable[..., Service]) -> None:
    service = start(shutdown_seconds=1000)
    service.begin_stream()
    service.told_to_stop()
    service.process.terminate()
    assert service.process.wait(PATIENCE) == 1


def test_a_thread_that_never_returns_does_not_keep_the_process(start: Callable[..., Service]) -> None:
    service = start(shutdown_seconds=1)
    assert service.get("/hang")[0] == 200
    service.process.terminate()
    assert service.process.wait(PATIENCE) == 1


def test_a_process_whose_loop_is_blocked_says_by_what_and_ends_itself(start: Callable[..., Service]) -> None:
    service = start(blocked_seconds=1)
    service.connect().request("GET", "/block")
    _, log = service.process.communicate(timeout=PATIENCE)
    assert service.process.returncode == 70
    assert "in block" in log


def test_a_process_that_was_stopped_whole_goes_on(start: Callable[..., Service]) -> None:
    service = start(blocked_seconds=1)
    os.kill(service.process.pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(2)
    os.kill(service.process.pid, signal.SIGCONT)
    assert service.get("/health")[0] == 200
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(1.5)


def test_full_collections_do_not_walk_what_startup_made(start: Callable[..., Service]) -> None:
    walked, spared = json.loads(start().get("/collections")[1])
    assert spared > 10 * walked


def test_without_a_port_for_operations_all_is_on_one(start: Callable[..., Service]) -> None:
    service = start(docs=True)
    for path in ("/metrics", "/docs", "/openapi.json"):
        assert service.get(path)[0] == 200
    assert b"from the lifespan" in service.get("/ready")[1]


def test_a_port_for_operations_takes_them_off_the_public_one(start: Callable[..., Service]) -> None:
    operations = free_port()
    service = start(operations_port=operations, docs=True)
    for path in ("/metrics", "/docs", "/openapi.json"):
        assert (service.get(path)[0], service.get(path, operations)[0]) == (404, 200)
    assert service.get("/ready") == (200, b'{"ready":true,"degraded":[],"checks":[]}')
    assert b"from the lifespan" in service.get("/ready", operations)[1]
    assert service.get("/stream", operations)[0] == 404
    service.told_to_stop()
    assert service.process.wait(PATIENCE) == 0

import sys
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx2
import pytest

from chammal.readiness import probe, wait_until_ready
from chammal.runner import Program
from chammal_contracts.health import Check, Readiness

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def service() -> Iterator[str]:
    """Ready at /ready from its third answer on; /never has a reason, /broken has none."""
    answers = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal answers
            answers += self.path == "/ready"
            ready = self.path == "/ready" and answers > 2
            body = Readiness(ready=ready, checks=[Check(name="model", ready=ready, reason="still loading")])
            self.send_response(200 if ready else 503)
            self.end_headers()
            self.wfile.write(b"?" if self.path == "/broken" else body.model_dump_json().encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


def at(address: str, path: str = "/ready") -> Program:
    return Program("fake", (sys.executable,), {}, address, path)


async def test_a_service_is_waited_for_until_it_is_ready(service: str) -> None:
    ready: list[str] = []
    reasons = await wait_until_ready([at(service)], 60, lambda program, seconds: ready.append(program.name))
    assert ready == ["fake"]
    assert reasons == {}


async def test_a_service_that_never_gets_ready_is_named_with_its_own_reason(service: str) -> None:
    reasons = await wait_until_ready([at(service, "/never")], 0.5, lambda program, seconds: None)
    assert reasons == {"fake": "model: still loading"}


async def test_an_answer_that_is_no_readiness_is_told_by_its_status(service: str, client: httpx2.AsyncClient) -> None:
    assert await probe(client, f"{service}/broken") == "answered 503"


async def test_a_service_that_is_not_there_is_told_so(client: httpx2.AsyncClient) -> None:
    assert await probe(client, "http://127.0.0.1:1/ready") == "no answer (ConnectError)"

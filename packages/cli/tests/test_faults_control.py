"""Faults over HTTP, and the program that holds the proxies."""

import subprocess
import sys
from collections.abc import AsyncIterator

import httpx2
import pytest

from chammal.faults.control import control
from chammal.faults.fault import Fault, FaultKind
from chammal.faults.proxy import FaultProxy
from chammal.faults.settings import FaultSettings, Route, read_routes

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy("stt", ("127.0.0.1", 0), ("127.0.0.1", 1))
    await proxy.start()
    yield proxy
    await proxy.aclose()


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(control({"stt": proxy}))
    async with httpx2.AsyncClient(transport=transport, base_url="http://control") as client:
        yield client


async def test_a_fault_is_set_told_and_healed(client: httpx2.AsyncClient, proxy: FaultProxy) -> None:
    assert (await client.get("/faults")).json() == {"stt": None}
    put = await client.put("/faults/stt", json={"kind": "status", "status": 503, "retry_after": 2})
    assert put.status_code == 200
    assert proxy.fault == Fault(kind=FaultKind.STATUS, status=503, retry_after=2)
    assert (await client.get("/faults")).json()["stt"]["kind"] == "status"
    assert (await client.delete("/faults/stt")).status_code == 204
    assert proxy.fault is None


async def test_a_fault_that_is_none_and_a_route_that_is_none_are_refused(client: httpx2.AsyncClient) -> None:
    assert (await client.put("/faults/stt", json={"kind": "meteor"})).status_code == 422
    assert (await client.put("/faults/stt", json={"kind": "hang", "sahre": 1})).status_code == 422
    assert (await client.delete("/faults/tts")).status_code == 404


async def test_what_passed_is_counted(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/counters")).json() == {"stt": {"connections": 0, "requests": 0, "faulted": 0}}


def test_routes_are_read() -> None:
    assert read_routes("stt=0.0.0.0:8001>stt:8001, tts=[::1]:0>tts:8004,") == [
        Route("stt", ("0.0.0.0", 8001), ("stt", 8001)),
        Route("tts", ("::1", 0), ("tts", 8004)),
    ]
    assert read_routes(FaultSettings().routes) == []
    for wrong in ("stt", "stt=8001>stt:8001", "stt=a:1", "stt=a:1>b:x"):
        with pytest.raises(ValueError, match="is "):
            read_routes(wrong)


def test_the_program_proxies_and_stops(tmp_path: object) -> None:
    variables = {"CHAMMAL_FAULTS_ROUTES": "stt=127.0.0.1:0>127.0.0.1:1", "CHAMMAL_FAULTS_CONTROL_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "chammal.faults"], stdout=subprocess.PIPE, env=variables, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline().endswith("to 127.0.0.1:1\n")
        program.terminate()
        program.wait(10)

import argparse
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from chammal.__main__ import main
from chammal.drill.command import NOT_DRILLED, Refused, check_environment, check_ready, plan, seconds
from chammal.drill.rehearsal import NotHealthy
from chammal.drill.scenario import scenarios
from chammal.drill.switch import Switch
from chammal.faults.fault import FaultKind

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def answers() -> dict[str, Any]:
    """What is answered at each path; a test changes it."""
    return {
        "/v1/failures": {"since": "", "environment": "staging", "stages": []},
        "/ready": {"ready": True, "checks": [{"name": "tts", "ready": True}]},
        "/faults": {"stt": None, "llm-gateway": None, "tts": None, "llamacpp": None},
    }


@pytest.fixture
async def client(answers: dict[str, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=answers[request.url.path]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://mesh") as client:
        yield client


async def test_production_is_refused_unless_forced(client: httpx2.AsyncClient, answers: dict[str, Any]) -> None:
    await check_environment(client, force=False)
    answers["/v1/failures"]["environment"] = "production"
    with pytest.raises(Refused, match="production"):
        await check_environment(client, force=False)
    await check_environment(client, force=True)


async def test_a_mesh_that_does_not_say_what_it_is_for_is_refused(
    client: httpx2.AsyncClient, answers: dict[str, Any]
) -> None:
    del answers["/v1/failures"]["environment"]
    with pytest.raises(Refused):
        await check_environment(client, force=True)


async def test_a_mesh_that_wants_a_key_says_so() -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(401))
    async with httpx2.AsyncClient(transport=transport, base_url="http://mesh") as client:
        with pytest.raises(Refused, match="CHAMMAL_DRILL_KEY"):
            await check_environment(client, force=False)


async def test_what_is_not_ready_is_said(client: httpx2.AsyncClient, answers: dict[str, Any]) -> None:
    await check_ready(client)
    failing = {"name": "tts", "ready": False, "reason": "its model is missing"}
    answers["/ready"] = {"ready": True, "degraded": ["tts"], "checks": [failing]}
    with pytest.raises(NotHealthy, match="tts: its model is missing"):
        await check_ready(client, 0)


async def test_a_mesh_that_has_just_come_up_is_asked_again(answers: dict[str, Any]) -> None:
    loading = {"name": "tts", "ready": False, "reason": "The model is being loaded."}
    told = [{"ready": True, "degraded": ["tts"], "checks": [loading]}, answers["/ready"]]
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=told.pop(0)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://mesh") as client:
        await check_ready(client)
    assert told == []


async def test_faults_are_set_at_the_proxies_that_there_are(client: httpx2.AsyncClient) -> None:
    faults = await plan(scenarios()["vllm-down"], Switch(client))
    assert {name: fault.kind for name, fault in faults.items()} == {"llamacpp": FaultKind.REFUSE}


async def test_what_has_no_proxy_before_it_is_not_drilled(client: httpx2.AsyncClient, answers: dict[str, Any]) -> None:
    del answers["/faults"]["tts"]
    with pytest.raises(Refused, match="no proxy stands before tts; there is one before stt"):
        await plan(scenarios()["tts-down"], Switch(client))


async def test_two_drills_do_not_meet(client: httpx2.AsyncClient, answers: dict[str, Any]) -> None:
    answers["/faults"]["stt"] = {"kind": "hang"}
    with pytest.raises(Refused, match="a fault is set already: stt"):
        await plan(scenarios()["tts-down"], Switch(client))


def test_without_a_mesh_nothing_is_drilled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "tts-down", "--url", "http://127.0.0.1:1"]) == NOT_DRILLED
    assert "no api answers at http://127.0.0.1:1" in capsys.readouterr().err


def test_the_list_names_every_scenario_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "list"]) == 0
    listed = capsys.readouterr().out
    for scenario in scenarios().values():
        assert f"{scenario.name} " in listed
        assert scenario.title in listed


@pytest.mark.parametrize(("text", "told"), [("60s", 60), ("2m", 120), ("0.5s", 0.5), ("90", 90)])
def test_times_are_read(text: str, told: float) -> None:
    assert seconds(text) == told


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1h", "soon"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(text)

"""Whole drills against a stand-in for a mesh, whose tts fails while the real control port holds a fault for it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from chammal.drill import rehearsal, users
from chammal.drill.answer import Endpoint, Outcome
from chammal.drill.rehearsal import NotHealthy, Phase, Rehearsal
from chammal.drill.scenario import scenarios
from chammal.drill.switch import Switch, SwitchError
from chammal.drill.verdict import judge
from chammal.faults.control import control
from chammal.faults.proxy import FaultProxy
from chammal_contracts.stages import BreakerState

from .drill_answers import chat, not_asked, problem, refused, speech

pytestmark = pytest.mark.anyio

SCENARIO = scenarios()["tts-down"]
FAULTS = {"tts": SCENARIO.breaks[0].fault}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "PAUSE_SECONDS", dict.fromkeys(Endpoint, 0.01))
    monkeypatch.setattr(users, "FAILED_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(rehearsal, "LOOK_SECONDS", 0.01)


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy("tts", ("127.0.0.1", 0), ("127.0.0.1", 1))
    await proxy.start()
    yield proxy
    await proxy.aclose()


@pytest.fixture
async def switch(proxy: FaultProxy) -> AsyncIterator[Switch]:
    transport = httpx2.ASGITransport(control({"tts": proxy}))
    async with httpx2.AsyncClient(transport=transport, base_url="http://control") as client:
        yield Switch(client)


class StandIn:
    """Answers as a mesh does whose tts is behind `proxy`; `heals` False keeps it broken for good."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.heals = True
        self.failing = False
        self.asked: list[httpx2.Request] = []
        self.lies: Callable[[], httpx2.Response] | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        self.failing = self.proxy.fault is not None or (self.failing and not self.heals)
        if request.url.path == "/v1/failures":
            state = BreakerState.OPEN if self.failing else BreakerState.CLOSED
            row = {"stage": "tts", "total": 0, "failures": 0, "rate": 0, "breaker": state}
            return httpx2.Response(200, json={"since": "", "environment": "development", "stages": [row]})
        if request.url.path == "/transcribe":
            return httpx2.Response(200, json=not_asked())
        if request.url.path == "/v1/chat/completions":
            return self.lies() if self.failing and self.lies else chat()
        return problem(503, refused("tts")) if self.failing else speech()


@pytest.fixture
def mesh(proxy: FaultProxy) -> StandIn:
    return StandIn(proxy)


@pytest.fixture
async def api(mesh: StandIn) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(mesh), base_url="http://api") as client:
        yield client


def drill(api: httpx2.AsyncClient, switch: Switch, lines: list[str], *, fault: float = 0.1) -> Rehearsal:
    return Rehearsal(SCENARIO, FAULTS, api, switch, lines.append, fault_seconds=fault, recovery_seconds=0.5)


async def test_a_drill_shows_the_fault_the_breaker_and_the_way_back(
    api: httpx2.AsyncClient, switch: Switch, proxy: FaultProxy
) -> None:
    lines: list[str] = []
    course = await drill(api, switch, lines).run()
    verdict = judge(SCENARIO, course)
    assert verdict.kept, verdict.broken
    assert {course.phase(answer) for answer in course.answers} == set(Phase)
    assert [(c.before, c.now) for c in course.changes] == [("closed", "open"), ("open", "closed")]
    assert {a.outcome for a in course.answers if course.within_fault(a) and a.endpoint is Endpoint.SPEECH} == {
        Outcome.ERROR
    }
    assert proxy.fault is None
    for event in ("healthy", "FAULT SET   tts: refuse", "BREAKER     tts: closed -> open", "FAULT GONE", "recovered"):
        assert [line for line in lines if event in line], event


async def test_every_request_carries_the_deadline_that_it_is_held_to(
    api: httpx2.AsyncClient, switch: Switch, mesh: StandIn
) -> None:
    await drill(api, switch, []).run()
    sent = {float(r.headers["chammal-deadline"]) for r in mesh.asked if r.method == "POST"}
    assert sent == {users.FIRST_DEADLINE, rehearsal.LEAST_DEADLINE}


async def test_a_lie_during_the_fault_is_shown_and_breaks_the_promise(
    api: httpx2.AsyncClient, switch: Switch, mesh: StandIn
) -> None:
    mesh.lies = lambda: problem(500, code="internal_error")
    lines: list[str] = []
    verdict = judge(SCENARIO, await drill(api, switch, lines).run())
    assert "chat answered 500" in verdict.broken
    assert [line for line in lines if "PROMISE BROKEN: chat answered 500" in line]


async def test_a_mesh_that_does_not_recover_breaks_it(api: httpx2.AsyncClient, switch: Switch, mesh: StandIn) -> None:
    mesh.heals = False
    verdict = judge(SCENARIO, await drill(api, switch, []).run())
    assert "not recovered in time" in verdict.broken


async def test_nothing_is_broken_where_answers_are_not_whole_already(
    api: httpx2.AsyncClient, switch: Switch, mesh: StandIn, proxy: FaultProxy
) -> None:
    mesh.failing, mesh.heals = True, False
    with pytest.raises(NotHealthy, match="speech answered 503"):
        await drill(api, switch, []).run()


async def test_an_interrupted_drill_removes_its_fault(
    api: httpx2.AsyncClient, switch: Switch, proxy: FaultProxy
) -> None:
    seen = asyncio.Event()
    run = asyncio.create_task(
        Rehearsal(
            SCENARIO,
            FAULTS,
            api,
            switch,
            lambda line: seen.set() if "FAULT SET" in line else None,
            fault_seconds=600,
            recovery_seconds=1,
        ).run()
    )
    await seen.wait()
    assert proxy.fault is not None
    assert proxy.fault.seconds_left is not None, "it would heal by itself if this process died now"
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert proxy.fault is None


async def test_a_proxy_that_is_gone_is_named() -> None:
    def gone(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(gone), base_url="http://control") as client:
        with pytest.raises(SwitchError, match="no fault proxy answers at http://control"):
            await Switch(client).routes()

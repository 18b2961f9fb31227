import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from chammal_api.calls import events
from chammal_api.calls.events import CallNews, has_ended, read_last_event_id
from chammal_api.calls.records import Change
from chammal_contracts.calls import CallEvent, CallStatus, HealingState
from chammal_kit.problems import Problem

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Store:
    """Calls and the numbers of their last changes; counts how often it is looked at."""

    def __init__(self) -> None:
        self.calls: dict[str, Change] = {}
        self.number = 0
        self.looks = 0

    def set(self, call_id: str, status: CallStatus, healing: HealingState = HealingState.NONE) -> None:
        self.number += 1
        event = CallEvent(id=call_id, status=status, revision=0, healing=healing)
        self.calls[call_id] = Change(self.number, event)

    async def changed(self, call_id: str) -> int:
        self.looks += 1
        return self.calls[call_id].number if call_id in self.calls else 0

    async def event(self, call_id: str) -> CallEvent | None:
        return self.calls[call_id].event if call_id in self.calls else None

    async def last_change(self) -> int:
        return self.number

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        self.looks += 1
        return sorted((c for c in self.calls.values() if c.number > after), key=lambda c: c.number)[:limit]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that are not asked for come so late that a test would notice."""
    monkeypatch.setattr(events, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(events, "GATHER_SECONDS", 0.0)


def read(piece: bytes) -> dict[str, Any]:
    lines = dict(line.split(": ", 1) for line in piece.decode().strip().splitlines())
    return {**json.loads(lines["data"]), "number": int(lines["id"]), "event": lines["event"]}


async def test_a_call_is_told_now_and_at_each_change_until_it_has_ended(store: Store) -> None:
    news = CallNews(store)
    store.set("a", CallStatus.QUEUED)
    pieces = news.of_call("a", -1)
    assert read(await anext(pieces))["status"] == "queued"
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    store.set("a", CallStatus.RUNNING)
    store.set("a", CallStatus.COMPLETE)
    news.notify()
    told = read(await waiting)
    assert (told["status"], told["number"]) == ("complete", 3), "the newest state, not every one"
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    assert news.streams == 0


async def test_a_reader_that_comes_back_hears_what_it_has_missed_and_no_more(store: Store) -> None:
    news = CallNews(store)
    store.set("a", CallStatus.QUEUED)
    store.set("b", CallStatus.QUEUED)
    store.set("a", CallStatus.COMPLETE)
    async with aclosing(news.of_all(1)) as pieces:
        told = [read(await anext(pieces)) for _ in range(2)]
    assert [(one["number"], one["event"]) for one in told] == [(2, "call"), (3, "call")]
    assert [one async for one in news.of_call("a", 2)] != []


async def test_a_deleted_call_is_told_of_and_ends_its_stream(store: Store) -> None:
    news = CallNews(store)
    store.set("a", CallStatus.RUNNING)
    pieces = news.of_call("a", -1)
    await anext(pieces)
    del store.calls["a"]
    news.notify()
    told = read(await anext(pieces))
    assert (told["event"], told["id"]) == ("deleted", "a")
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)


async def test_silence_is_filled_with_heart_beats(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.0)
    store.set("a", CallStatus.RUNNING)
    async with (
        aclosing(CallNews(store).of_call("a", store.number)) as one,
        aclosing(CallNews(store).of_all(store.number)) as every,
    ):
        assert await anext(one) == b": \n\n"
        assert await anext(every) == b": \n\n"


async def test_nobody_looks_at_the_store_while_nothing_is_written(store: Store) -> None:
    store.set("a", CallStatus.RUNNING)
    async with aclosing(CallNews(store).of_call("a", store.number)) as pieces:
        waiting = asyncio.ensure_future(anext(pieces))
        for _ in range(100):
            await asyncio.sleep(0)
        assert store.looks == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_streams_end_when_the_process_leaves(store: Store) -> None:
    leaving = False
    news = CallNews(store, lambda: leaving)
    store.set("a", CallStatus.RUNNING)
    pieces = [news.of_call("a", -1), news.of_all(0)]
    for one in pieces:
        await anext(one)
    leaving = True
    news.notify()
    for one in pieces:
        with pytest.raises(StopAsyncIteration):
            await anext(one)


async def test_too_many_listeners_are_told_to_ask_instead(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_STREAMS", 1)
    news = CallNews(store)
    news.check_room()
    store.set("a", CallStatus.RUNNING)
    async with aclosing(news.of_all(0)) as pieces:
        await anext(pieces)
        with pytest.raises(Problem) as full:
            news.check_room()
    assert full.value.status == 503
    news.check_room()


@pytest.mark.parametrize(
    ("status", "healing", "ended"),
    [
        (CallStatus.QUEUED, HealingState.NONE, False),
        (CallStatus.RUNNING, HealingState.NONE, False),
        (CallStatus.COMPLETE, HealingState.NONE, True),
        (CallStatus.FAILED, HealingState.NONE, True),
        (CallStatus.PARTIAL, HealingState.WAITING, False),
        (CallStatus.PARTIAL, HealingState.RUNNING, False),
        (CallStatus.PARTIAL, HealingState.GIVEN_UP, True),
        (CallStatus.COMPLETE, HealingState.HEALED, True),
    ],
)
async def test_a_call_that_waits_to_heal_has_not_ended(status: CallStatus, healing: HealingState, ended: bool) -> None:
    assert has_ended(CallEvent(id="a", status=status, revision=0, healing=healing)) is ended


@pytest.mark.parametrize(
    ("told", "number"),
    [(None, None), ("", None), ("7", 7), ("-1", None), ("x", None), ("9" * 19, None), ("\u0661", None)],
)
async def test_an_id_that_is_none_of_ours_is_ignored(told: str | None, number: int | None) -> None:
    assert read_last_event_id(told) == number


async def test_a_client_that_goes_away_leaves_nothing_behind(store: Store) -> None:
    news = CallNews(store)
    store.set("a", CallStatus.RUNNING)

    gone, before = asyncio.Event(), asyncio.all_tasks()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async with aclosing(news.of_call("a", -1)) as told:
                async for piece in told:
                    yield piece
        finally:
            gone.set()

    async def answer(request: Request) -> Response:
        return StreamingResponse(pieces(), media_type=events.MEDIA_TYPE)

    async with _serving(Starlette(routes=[Route("/", answer)])) as url, httpx2.AsyncClient(trust_env=False) as client:
        async with client.stream("GET", url) as reply:
            assert b"running" in await anext(reply.aiter_raw())
            assert news.streams == 1
        async with asyncio.timeout(10):
            await gone.wait()
    assert news.streams == 0
    assert asyncio.all_tasks() <= before


@asynccontextmanager
async def _serving(app: Starlette) -> AsyncIterator[str]:
    """On a real socket, in this loop."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    started = asyncio.Event()
    startup = server.startup

    async def startup_and_tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = startup_and_tell  # type: ignore[method-assign]
    running = asyncio.ensure_future(server._serve())
    async with asyncio.timeout(10):
        await started.wait()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    await running

"""Workflows over stages that only note that they were called; killed processes are in tests/calls/test_killed.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from dbos._error import DBOSException
from sqlalchemy.exc import OperationalError
from tests import sample_calls

from chammal_api.calls.database import DatabaseNotOpen
from chammal_api.calls.executors import Executors
from chammal_api.calls.flow import CallFlow
from chammal_api.calls.records import Unqueued
from chammal_contracts.calls import Call, CallMetadata, Priority
from chammal_contracts.stages import Stage

pytestmark = pytest.mark.anyio
GUARD = 30


def call(call_id: str, webhook: str | None = None) -> Call:
    return sample_calls.call(call_id, metadata=CallMetadata(webhook_url=webhook))


class Desk:
    """Stages, teller and ledger in one."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str, int]] = []
        self.ended: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.told: asyncio.Queue[tuple[str, int, int]] = asyncio.Queue()
        self.held: dict[str, asyncio.Event] = {}
        self.reached: dict[str, asyncio.Event] = {}
        self.waits: list[float | None] = []
        self.lost: list[Unqueued] = []
        self.submissions: list[tuple[str, int]] = []
        self.gave_up: asyncio.Queue[tuple[str, int, str]] = asyncio.Queue()
        self.webhook: str | None = None

    def hold(self, step: str) -> asyncio.Event:
        self.held[step], self.reached[step] = asyncio.Event(), asyncio.Event()
        return self.reached[step]

    async def _note(self, step: str, call_id: str, run: int) -> None:
        self.log.append((step, call_id, run))
        if step in self.held:
            self.reached[step].set()
            await self.held[step].wait()

    async def begin(self, call_id: str, run: int) -> None:
        await self._note("begin", call_id, run)

    async def transcribe(self, call_id: str, run: int) -> None:
        await self._note("transcribe", call_id, run)

    async def check(self, call_id: str, run: int) -> None:
        await self._note("check", call_id, run)

    async def summarise(self, call_id: str, run: int) -> None:
        await self._note("summarise", call_id, run)

    async def finish(self, call_id: str, run: int) -> Call | None:
        await self._note("finish", call_id, run)
        self.ended.put_nowait((call_id, run))
        return call(call_id, self.webhook)

    async def give_up(self, call_id: str, run: int, reason: str) -> None:
        self.gave_up.put_nowait((call_id, run, reason))

    async def tell(self, call_id: str, revision: int, attempt: int) -> float | None:
        self.told.put_nowait((call_id, revision, attempt))
        return self.waits.pop(0) if self.waits else None

    async def submitted(self, call_id: str, run: int) -> None:
        self.submissions.append((call_id, run))
        self.lost = [one for one in self.lost if (one.call_id, one.run) != (call_id, run)]

    async def unqueued(self) -> list[Unqueued]:
        return self.lost

    def steps(self, call_id: str) -> list[str]:
        return [step for step, of, _ in self.log if of == call_id]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@asynccontextmanager
async def flowing(desk: Desk, folder: Path, at_once: int = 2, url: str | None = None) -> AsyncIterator[CallFlow]:
    made = CallFlow(desk, desk, desk, data_dir=folder, database_url=url, at_once=at_once)
    async with aclosing(made) as flow, asyncio.timeout(GUARD):
        await flow.start()
        yield flow


async def test_stages_run_in_order_and_the_check_beside_the_summary(desk: Desk, tmp_path: Path) -> None:
    reached = [desk.hold("check"), desk.hold("summarise")]
    async with flowing(desk, tmp_path) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        for each in reached:
            await each.wait()
        for held in desk.held.values():
            held.set()
        assert await desk.ended.get() == ("a", 1)
    assert desk.steps("a")[:2] == ["begin", "transcribe"]
    assert sorted(desk.steps("a")[2:4]) == ["check", "summarise"]


async def test_what_is_submitted_before_the_start_is_found_at_the_start(desk: Desk, tmp_path: Path) -> None:
    made = CallFlow(desk, desk, desk, data_dir=tmp_path, database_url=None, at_once=1)
    async with aclosing(made) as flow, asyncio.timeout(GUARD):
        await flow.submit("a", 1, Priority.BATCH)
        await flow.cancel("b")
        assert desk.submissions == []
        desk.lost = [Unqueued("a", 1, Priority.BATCH, None)]
        await flow.start()
        assert await desk.ended.get() == ("a", 1)


async def test_a_start_that_failed_may_be_made_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(executors: Executors) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    async with (
        aclosing(CallFlow(desk, desk, desk, data_dir=tmp_path, database_url=None, at_once=1)) as flow,
        asyncio.timeout(GUARD),
    ):
        for method in ("create", "beat"):
            monkeypatch.setattr(Executors, method, fail)
            with pytest.raises(OperationalError):
                await flow.start()
            monkeypatch.undo()
        monkeypatch.setattr("chammal_api.calls.flow.DBOS.register_queue_async", _refuse)
        with pytest.raises(DatabaseNotOpen):
            await flow.start()
        monkeypatch.undo()
        await flow.start()
        await flow.submit("a", 1, Priority.BATCH)
        assert await desk.ended.get() == ("a", 1)


async def _refuse(*_: object, **__: object) -> None:
    raise DBOSException("not now")


async def test_a_run_that_is_submitted_twice_runs_once(desk: Desk, tmp_path: Path) -> None:
    async with flowing(desk, tmp_path) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        await flow.submit("a", 1, Priority.BATCH)
        await flow.submit("b", 1, Priority.BATCH)
        await desk.ended.get()
        await desk.ended.get()
    assert desk.steps("a").count("begin") == 1
    assert desk.submissions.count(("a", 1)) == 2


async def test_interactive_calls_come_before_batches(desk: Desk, tmp_path: Path) -> None:
    reached = desk.hold("begin")
    async with flowing(desk, tmp_path, at_once=1) as flow:
        await flow.submit("first", 1, Priority.BATCH)
        await reached.wait()
        await flow.submit("batch", 1, Priority.BATCH)
        await flow.submit("urgent", 1, Priority.INTERACTIVE)
        desk.held["begin"].set()
        ended = [(await desk.ended.get())[0] for _ in range(3)]
    assert ended == ["first", "urgent", "batch"]


async def test_no_more_calls_run_at_once_than_may(desk: Desk, tmp_path: Path) -> None:
    reached = desk.hold("transcribe")
    async with flowing(desk, tmp_path, at_once=1) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        await flow.submit("b", 1, Priority.BATCH)
        await reached.wait()
        assert not desk.steps("b")
        desk.held["transcribe"].set()
        assert [await desk.ended.get(), await desk.ended.get()] == [("a", 1), ("b", 1)]


async def test_healing_runs_only_what_is_missing(desk: Desk, tmp_path: Path) -> None:
    async with flowing(desk, tmp_path) as flow:
        await flow.heal("a", 2, (Stage.ANALYSIS,))
        await desk.ended.get()
    assert desk.steps("a") == ["begin", "check", "finish"]


async def test_what_runs_when_the_process_leaves_is_resumed_by_the_next_without_what_had_ended(
    desk: Desk, tmp_path: Path
) -> None:
    reached = desk.hold("check")
    async with flowing(desk, tmp_path) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        await reached.wait()
    desk.held.clear()
    async with flowing(desk, tmp_path):
        assert await desk.ended.get() == ("a", 1)
    assert desk.steps("a").count("transcribe") == 1
    assert desk.steps("a").count("check") == 2


async def test_a_process_that_only_accepts_leaves_calls_to_others(desk: Desk, tmp_path: Path) -> None:
    async with flowing(desk, tmp_path, at_once=0) as flow:
        await flow.submit("a", 1, Priority.BATCH)
    assert not desk.log
    async with flowing(desk, tmp_path):
        assert await desk.ended.get() == ("a", 1)


async def test_calls_that_were_accepted_and_not_handed_over_are_found_at_the_start(desk: Desk, tmp_path: Path) -> None:
    desk.lost = [Unqueued("lost", 3, Priority.BATCH, frozenset({Stage.SUMMARY}))]
    async with flowing(desk, tmp_path):
        assert await desk.ended.get() == ("lost", 3)
    assert desk.steps("lost") == ["begin", "summarise", "finish"]


async def test_a_webhook_is_told_again_after_a_wait_until_it_needs_no_more(desk: Desk, tmp_path: Path) -> None:
    desk.webhook, desk.waits = "https://hooks.example/x", [0.1, None]
    async with flowing(desk, tmp_path) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        assert [await desk.told.get(), await desk.told.get()] == [("a", 1, 1), ("a", 1, 2)]


async def test_a_cancelled_call_stops_and_is_forgotten(desk: Desk, tmp_path: Path) -> None:
    reached = desk.hold("transcribe")
    async with flowing(desk, tmp_path) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        await reached.wait()
        await flow.cancel("a")
        await flow.submit("b", 1, Priority.BATCH)
        desk.held.clear()
        assert await desk.ended.get() == ("b", 1)
    assert desk.steps("a") == ["begin", "transcribe"]


async def test_a_workflow_that_cannot_end_is_given_up_with_its_reason(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(call_id: str, run: int) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(desk, "begin", broken)
    monkeypatch.setattr("chammal_api.calls.flow.TIDY_SECONDS", 0.2)
    async with flowing(desk, tmp_path) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        call_id, run, reason = await desk.gave_up.get()
    assert (call_id, run) == ("a", 1)
    assert "ERROR" in reason


async def test_the_work_of_a_dead_executor_is_adopted(
    desk: Desk, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another machine: the folder is another one, the database is the same."""
    monkeypatch.setattr("chammal_api.calls.flow.BEAT_SECONDS", 0.2)
    (tmp_path / "data").mkdir()
    reached = desk.hold("check")
    async with flowing(desk, tmp_path / "one", url=database_url) as flow:
        await flow.submit("a", 1, Priority.BATCH)
        await reached.wait()
    desk.held.clear()
    async with flowing(desk, tmp_path / "two", url=database_url):
        assert await desk.ended.get() == ("a", 1)
    assert desk.steps("a").count("transcribe") == 1

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import anyio
import pytest

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem
from chammal_stt.batcher import Batcher, Priority
from chammal_stt.messages import SAMPLE_RATE, Piece, Recognition
from chammal_stt.pool import StartFailed
from chammal_stt.recogniser import BatchFailed, Recogniser
from chammal_stt.worker import WorkerDied

pytestmark = pytest.mark.anyio


class FakePool:
    def __init__(self, size: int) -> None:
        self.size = size
        self.failure: StartFailed | None = None
        self._slots = asyncio.Semaphore(size)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[None]:
        if self.failure is not None:
            raise self.failure
        async with self._slots:
            yield

    async def aclose(self) -> None:
        pass


class FakeRecogniser:
    """Batches wait for `gate`. A piece's first sample is its name; those in `poison` end the worker."""

    def __init__(self, workers: int) -> None:
        self.pool = FakePool(workers)
        self.gate = asyncio.Event()
        self.gate.set()
        self.poison: set[int] = set()
        self.broken: set[int] = set()
        self.kills = 0
        self.deaths = 0
        self.batches: list[list[int]] = []
        self.began = asyncio.Event()

    async def run(self, worker: None, descriptors: list[int], pieces: list[Piece]) -> list[Recognition]:
        names = [piece.first for piece in pieces]
        self.batches.append(names)
        self.began.set()
        await self.gate.wait()
        self.kills -= 1
        if self.kills >= 0 or self.poison.intersection(names):
            self.deaths += 1
            raise WorkerDied("recogniser", -9)
        if self.broken.intersection(names):
            raise BatchFailed("ValueError: no")
        return [Recognition(language=str(name)) for name in names]


class Setting:
    def __init__(self, recogniser: FakeRecogniser, batcher: Batcher) -> None:
        self.recogniser = recogniser
        self.batcher = batcher
        self.waits: list[tuple[float, bool]] = []

    async def ask(self, name: int, priority: Priority = Priority.SHORT, seconds: float = 4, **options: object) -> str:
        piece = Piece(first=name, samples=int(seconds * SAMPLE_RATE), **options)  # type: ignore[arg-type]
        return (await self.batcher.recognise(0, piece, priority)).language

    def begin(self, name: int, priority: Priority = Priority.SHORT, **options: object) -> "asyncio.Task[str]":
        return asyncio.create_task(self.ask(name, priority, **options))  # type: ignore[arg-type]


@asynccontextmanager
async def setting(workers: int = 1, queue: int = 100) -> AsyncIterator[Setting]:
    recogniser = FakeRecogniser(workers)
    waits: list[tuple[float, bool]] = []
    batcher = Batcher(
        cast(Recogniser, recogniser), size=4, queue=queue, wait_seconds=0, short_waited=lambda *wait: waits.append(wait)
    )
    s = Setting(recogniser, batcher)
    s.waits = waits
    with anyio.fail_after(10):
        yield s
    await batcher.aclose()


@asynccontextmanager
async def busy(workers: int = 1, queue: int = 100) -> AsyncIterator[Setting]:
    """Every recogniser is at work on a piece called 0, until the gate is opened."""
    async with setting(workers, queue) as s:
        s.recogniser.gate.clear()
        first = [s.begin(0, words=bool(number)) for number in range(workers)]
        while len(s.recogniser.batches) < workers:
            s.recogniser.began.clear()
            await s.recogniser.began.wait()
        yield s
        s.recogniser.gate.set()
        await asyncio.gather(*first)


async def answers(s: Setting, *tasks: "asyncio.Task[str]") -> list[str]:
    await _queued(s, len([task for task in tasks if not task.done()]))
    s.recogniser.gate.set()
    return await asyncio.gather(*tasks)


async def _queued(s: Setting, count: int) -> None:
    await anyio.wait_all_tasks_blocked()
    assert s.batcher.waiting == count


async def test_pieces_of_several_requests_are_decoded_together() -> None:
    async with busy() as s:
        tasks = [s.begin(name) for name in range(1, 6)]
        assert await answers(s, *tasks) == ["1", "2", "3", "4", "5"]
        assert s.recogniser.batches == [[0], [1, 2, 3, 4], [5]]


async def test_what_a_person_waits_for_goes_first() -> None:
    async with busy() as s:
        order = [Priority.LONG, Priority.PARTIAL, Priority.SHORT, Priority.FINAL]
        tasks = [s.begin(name, priority, temperature=name / 10) for name, priority in enumerate(order, start=1)]
        await answers(s, *tasks)
        assert s.recogniser.batches == [[0], [4], [3], [2], [1]]


async def test_how_long_pieces_of_short_recordings_waited_is_told_and_no_others() -> None:
    async with busy() as s:
        tasks = [s.begin(name, priority) for name, priority in enumerate(Priority, start=1)]
        gone = s.begin(8)
        await _queued(s, len(tasks) + 1)
        gone.cancel()
        await answers(s, *tasks, s.begin(9))
        assert [taken for _, taken in s.waits] == [True, False, True, True]  # the first is the one before all
        assert all(seconds >= 0 for seconds, _ in s.waits)


async def test_pieces_with_other_options_are_not_decoded_together() -> None:
    async with busy() as s:
        await answers(s, s.begin(1), s.begin(2, prompt="참말"), s.begin(3), s.begin(4, words=True, language="ko"))
        assert s.recogniser.batches == [[0], [1, 3], [2], [4]]


async def test_a_long_piece_does_not_ride_with_a_short_one() -> None:
    async with busy() as s:
        await answers(s, s.begin(1, seconds=3), s.begin(2, Priority.LONG, seconds=16))
        assert s.recogniser.batches == [[0], [1], [2]]


async def test_long_recordings_take_every_recogniser_when_nothing_else_comes() -> None:
    async with setting(workers=2) as s:
        s.recogniser.gate.clear()
        long = [s.begin(name, Priority.LONG, seconds=16) for name in range(1, 7)]
        await anyio.wait_all_tasks_blocked()
        assert s.recogniser.batches == [[1, 2], [3, 4]]
        s.recogniser.gate.set()
        await asyncio.gather(*long)


async def test_long_recordings_leave_a_recogniser_free_once_something_short_has_come() -> None:
    async with setting(workers=2) as s:
        assert await s.ask(8) == "8"
        s.recogniser.gate.clear()
        long = [s.begin(name, Priority.LONG, seconds=16) for name in range(1, 7)]
        await anyio.wait_all_tasks_blocked()
        short = s.begin(9)
        await anyio.wait_all_tasks_blocked()
        assert s.recogniser.batches == [[8], [1, 2], [9]]
        s.recogniser.gate.set()
        assert await short == "9"
        await asyncio.gather(*long)


async def test_a_piece_that_nobody_waits_for_is_not_decoded() -> None:
    async with busy() as s:
        gone, kept = s.begin(1), s.begin(2)
        await _queued(s, 2)
        gone.cancel()
        assert await answers(s, kept) == ["2"]
        assert s.recogniser.batches == [[0], [2]]


async def test_a_dead_worker_loses_none_of_its_batch_but_the_piece_that_kills_it_twice() -> None:
    async with busy() as s:
        s.recogniser.poison = {2}
        good, bad, fine = s.begin(1), s.begin(2), s.begin(3)
        await _queued(s, 3)
        s.recogniser.gate.set()
        assert [await good, await fine] == ["1", "3"]
        with pytest.raises(Problem) as caught:
            await bad
        assert (caught.value.status, caught.value.code) == (422, ErrorCode.AUDIO_UNPROCESSABLE)
        assert s.recogniser.batches == [[0], [1, 2, 3], [1], [2], [3]]


async def test_a_worker_killed_from_outside_costs_no_request() -> None:
    async with setting() as s:
        s.recogniser.kills = 1
        assert await s.ask(1) == "1"
        assert s.recogniser.batches == [[1], [1]]


async def test_a_piece_is_not_blamed_while_workers_that_did_not_have_it_die_too() -> None:
    async with setting() as s:
        s.recogniser.kills = 4
        s.recogniser.gate.clear()
        asked = s.begin(1)
        await s.recogniser.began.wait()
        s.recogniser.deaths += 1
        s.recogniser.gate.set()
        assert await asked == "1"
        assert len(s.recogniser.batches) == 5


async def test_a_batch_that_the_model_refuses_fails_only_who_is_at_fault() -> None:
    async with busy() as s:
        s.recogniser.broken = {1}
        bad, good = s.begin(1), s.begin(2)
        await _queued(s, 2)
        s.recogniser.gate.set()
        assert await good == "2"
        with pytest.raises(Problem) as caught:
            await bad
        assert (caught.value.status, caught.value.code) == (500, ErrorCode.STAGE_FAILED)


async def test_without_a_model_the_answer_names_the_command_that_fetches_it() -> None:
    async with setting() as s:
        s.recogniser.pool.failure = StartFailed("no model", "chammal models fetch whisper-base")
        with pytest.raises(Problem) as caught:
            await s.ask(1)
        assert (caught.value.status, caught.value.code) == (503, ErrorCode.MODEL_UNAVAILABLE)
        assert caught.value.extensions["command"] == "chammal models fetch whisper-base"
        s.recogniser.pool.failure = None
        assert await s.ask(2) == "2"


async def test_a_full_queue_is_refused_at_once() -> None:
    async with busy(queue=1) as s:
        waiting = s.begin(1)
        await _queued(s, 1)
        with pytest.raises(Problem) as caught:
            await s.ask(2)
        assert caught.value.code is ErrorCode.OVERLOADED
        assert await answers(s, waiting) == ["1"]


async def test_closing_answers_whoever_waits() -> None:
    async with setting() as s:
        s.recogniser.gate.clear()
        running = s.begin(1)
        await s.recogniser.began.wait()
        waiting = s.begin(2)
        await _queued(s, 1)
        await s.batcher.aclose()
        for task in (waiting, running):
            with pytest.raises(Problem) as caught:
                await task
            assert caught.value.code is ErrorCode.MODEL_UNAVAILABLE

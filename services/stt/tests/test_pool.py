import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from chammal_stt.pool import Pool, StartFailed
from chammal_stt.worker import Worker, WorkerCommand, WorkerDied, WorkerUnfit

pytestmark = pytest.mark.anyio

COMMAND = WorkerCommand("decoder", "chammal_stt.decoder_process", (str(1 << 30), str(1 << 20)), Path("/"), 30.0)


class Deaths:
    def __init__(self) -> None:
        self.count = 0
        self.seen = anyio.Event()

    def __call__(self) -> None:
        self.count += 1
        self.seen.set()


@pytest.fixture
def deaths() -> Deaths:
    return Deaths()


@pytest.fixture
async def pool(deaths: Deaths) -> AsyncIterator[Pool]:
    pool = Pool(lambda: Worker.start(COMMAND), 1, on_death=deaths)
    yield pool
    await pool.aclose()


async def test_a_worker_is_started_once_and_used_again(pool: Pool) -> None:
    async with pool.lease() as first:
        pass
    async with pool.lease() as second:
        assert second is first


async def test_warming_and_leasing_at_once_do_not_wait_for_one_another(pool: Pool) -> None:
    with anyio.fail_after(30):
        pool.warm()
        async with pool.lease() as worker:
            assert worker.alive
            pool.warm()
        async with pool.lease() as again:
            assert again is worker
    assert len(pool.workers) == 1


async def test_an_idle_worker_that_dies_is_counted_and_replaced(pool: Pool, deaths: Deaths) -> None:
    async with pool.lease() as worker:
        pass
    with anyio.fail_after(30):
        os.kill(worker.pid, signal.SIGKILL)
        await deaths.seen.wait()
        async with pool.lease() as other:
            assert other.pid != worker.pid
    assert deaths.count == 1


async def test_a_pool_that_has_just_failed_to_start_fails_at_once_with_the_same_reason() -> None:
    starts = 0

    async def start() -> Worker:
        nonlocal starts
        starts += 1
        raise WorkerUnfit("no model", "fetch it")

    pool = Pool(start, 1, on_death=lambda: None, cooldown=60)
    for _ in range(3):
        with pytest.raises(StartFailed, match="no model") as caught:
            async with pool.lease():
                pass
        assert caught.value.hint == "fetch it"
    assert starts == 1


async def test_a_worker_that_ends_before_its_first_message_is_reported_with_its_status() -> None:
    with pytest.raises(WorkerDied) as caught:
        await Worker.start(WorkerCommand("decoder", "chammal_stt.decoder_process", ("no number",), Path("/"), 30.0))
    assert caught.value.code == 1

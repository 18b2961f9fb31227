import asyncio
import threading
import time

import pytest
from prometheus_client import REGISTRY

from chammal_kit.vitals import Vitals

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_tasks_and_threads_are_counted() -> None:
    vitals = Vitals(0)
    vitals.start()
    try:
        before = REGISTRY.get_sample_value("chammal_process_tasks")
        waiting = asyncio.create_task(asyncio.Event().wait())
        assert REGISTRY.get_sample_value("chammal_process_tasks") == (before or 0) + 1
        assert (REGISTRY.get_sample_value("chammal_process_threads") or 0) >= 1
        waiting.cancel()
    finally:
        vitals.stop()


async def test_a_loop_that_is_late_is_measured_and_told(caplog: pytest.LogCaptureFixture) -> None:
    vitals = Vitals(0)
    vitals.start()
    try:
        before = REGISTRY.get_sample_value("chammal_loop_lag_seconds_sum") or 0.0
        time.sleep(1.7)  # noqa: ASYNC251  blocking is the matter
        async with asyncio.timeout(10):
            while (REGISTRY.get_sample_value("chammal_loop_lag_seconds_sum") or 0.0) - before < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert "blocked" in caplog.text
    finally:
        vitals.stop()


async def test_a_loop_that_does_not_turn_ends_the_process() -> None:
    ended = threading.Event()
    vitals = Vitals(0.5, ended.set)
    vitals.start()
    assert ended.wait(10), "which blocks the loop meanwhile"
    vitals.stop()

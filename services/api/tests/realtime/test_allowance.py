import asyncio

import pytest

from chammal_api.realtime.allowance import Allowance

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waited


async def test_a_burst_passes_at_once_and_what_is_more_waits_for_its_turn(waits: list[float]) -> None:
    allowance = Allowance(per_second=10, burst=100)
    await allowance.take(100)
    assert waits == []
    await allowance.take(50)
    assert waits == [pytest.approx(5, abs=1)]
    await allowance.take(50)
    assert waits[1] == pytest.approx(10, abs=1)


async def test_one_message_larger_than_the_burst_waits_and_passes(waits: list[float]) -> None:
    allowance = Allowance(per_second=10, burst=1)
    await allowance.take(101)
    assert waits == [pytest.approx(10, abs=1)]

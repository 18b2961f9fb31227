import asyncio

import pytest

from chammal_api.places import Places
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

pytestmark = pytest.mark.anyio


async def test_who_finds_no_place_is_told_when_to_come_again() -> None:
    places = Places("sessions", 1)
    places.enter()
    with pytest.raises(Problem) as refused:
        places.enter()
    assert (refused.value.code, refused.value.headers["Retry-After"]) == (ErrorCode.OVERLOADED, "10")
    places.leave()
    places.enter()
    assert places.taken == 1


async def test_nobody_gets_in_once_they_are_shut_and_who_is_in_is_waited_for() -> None:
    places = Places("sessions", 2)
    places.enter()
    places.shut = True
    with pytest.raises(Problem) as refused:
        places.enter()
    assert refused.value.code is ErrorCode.SERVER_SHUTTING_DOWN
    waiting = asyncio.create_task(places.until_empty())
    await asyncio.sleep(0)
    assert not waiting.done()
    places.leave()
    await waiting

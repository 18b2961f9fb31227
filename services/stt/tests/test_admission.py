import asyncio
from contextlib import ExitStack

import pytest

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem
from chammal_stt.admission import LONG_BYTES, Admission, Visit
from chammal_stt.settings import SttSettings

pytestmark = pytest.mark.anyio

SHORT, LONG = 100_000, LONG_BYTES + 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def admission(**told: float) -> Admission:
    defaults = {"limit_least": 4, "limit_most": 4, "concurrency": 2, "queue": 1, "queue_seconds": 60, "max_uploads": 8}
    return Admission(SttSettings.model_validate({**defaults, **told}))


def refused(subject: Admission, declared: int | None) -> Problem:
    with pytest.raises(Problem) as caught:
        subject.admit(declared)
    assert (caught.value.status, caught.value.code) == (503, ErrorCode.OVERLOADED)
    assert int(caught.value.headers["Retry-After"]) >= 1
    assert "Connection" not in caught.value.headers  # a caller that still sends would lose its answer
    return caught.value


async def begun(subject: Admission, declared: int | None) -> Visit:
    visit = subject.admit(declared)
    await visit.begin()
    return visit


async def test_short_recordings_are_let_in_up_to_the_limit_and_then_refused_at_once() -> None:
    subject = admission()
    visits = [await begun(subject, size) for size in (SHORT, SHORT, None, 0)]
    refused(subject, SHORT)
    visits[0].leave()
    visits[0].leave()
    await begun(subject, SHORT)
    refused(subject, SHORT)


async def test_long_recordings_take_no_place_from_short_ones() -> None:
    subject = admission()
    long = [await begun(subject, LONG) for _ in range(2)]
    waiting = asyncio.ensure_future(begun(subject, LONG))
    await asyncio.sleep(0)
    refused(subject, LONG)
    assert [(await begun(subject, SHORT)).long for _ in range(4)] == [False] * 4
    long[0].leave()
    assert (await waiting).long


async def test_what_turns_out_to_be_long_makes_room_for_short_ones() -> None:
    subject = admission()
    visits = [await begun(subject, SHORT) for _ in range(4)]
    await visits[0].turned_out_long()
    assert subject.limiter.in_flight == 3
    await begun(subject, SHORT)
    await visits[1].turned_out_long()
    waiting = asyncio.ensure_future(visits[2].turned_out_long())
    await asyncio.sleep(0)
    with pytest.raises(Problem):
        subject.admit(LONG)
    visits[0].leave()
    await waiting
    for visit in visits:
        visit.leave()
    assert subject.limiter.in_flight == 1


async def test_a_long_recording_that_was_declared_as_such_takes_one_place_only() -> None:
    subject = admission()
    visit = await begun(subject, LONG)
    await visit.turned_out_long()
    await begun(subject, LONG)
    visit.leave()
    await begun(subject, LONG)


async def test_uploads_are_bounded_and_long_ones_have_half_of_the_places_at_most() -> None:
    subject = admission(limit_most=100, limit_least=100, max_uploads=4, concurrency=100)
    with ExitStack() as uploads:
        for size, places in ((LONG, 2), (SHORT, 4)):
            for _ in range(places):
                uploads.enter_context(subject.uploading(subject.admit(size)))
            refused(subject, size)
    subject.admit(LONG)


async def test_an_upload_that_trickles_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chammal_kit.limiter._PROMPT_SECONDS", 0.0)
    subject = admission()
    visits = [subject.admit(SHORT) for _ in range(4)]
    with subject.uploading(visits[0]):
        for _ in range(5):
            await asyncio.sleep(0)
        subject.admit(SHORT)
        refused(subject, SHORT)
    assert subject.limiter.in_flight == 5
    visits[0].leave()
    assert subject.limiter.in_flight == 4


async def test_an_upload_that_breaks_off_gives_its_place_back() -> None:
    subject = admission()
    visit = subject.admit(SHORT)
    with pytest.raises(ConnectionError), subject.uploading(visit):
        raise ConnectionError
    visit.leave()
    assert subject.limiter.in_flight == 0


async def test_long_recordings_leave_a_decoder_free() -> None:
    subject = admission(decoders=2)
    first, second, short = subject.admit(LONG), subject.admit(LONG), subject.admit(SHORT)
    async with subject.decoding(first):
        another = asyncio.ensure_future(subject.decoding(second).__aenter__())
        async with subject.decoding(short):
            await asyncio.sleep(0)
            assert not another.done()
    await another

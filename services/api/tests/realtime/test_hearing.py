"""Hearing, told by an stt of the test on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import pytest
from websockets.asyncio.server import ServerConnection, serve

from chammal_api.realtime.hearing import Back, Hearing, HearingEvent, Lost
from chammal_api.settings import ApiSettings
from chammal_contracts.live import Committed, Ready, SpeechStarted, Start
from chammal_kit.upstream import Upstream

pytestmark = pytest.mark.anyio

PATIENCE = 60.0
START = Start(sample_rate=24_000)
SECOND = bytes(48_000)
READY = Ready(session="s", sample_rate=24_000, encoding=START.encoding, language=None, silence_ms=500)
Talk = Callable[[ServerConnection], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def hearing(talk: Talk) -> AsyncIterator[tuple[Hearing, "asyncio.Queue[HearingEvent]"]]:
    events: asyncio.Queue[HearingEvent] = asyncio.Queue()
    async with serve(talk, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with aclosing(Upstream("stt", url)) as stt:
            made = Hearing(stt, START, events.put_nowait, ApiSettings(realtime_stt_seconds=0.1))
            running = asyncio.create_task(made.run())
            try:
                async with asyncio.timeout(PATIENCE):
                    yield made, events
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                for connection in server.connections:
                    connection.transport.abort()


async def test_an_stt_that_vanishes_without_a_word_is_lost() -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with hearing(vanish) as (ears, events):
        await ears.hear(SECOND)
        lost = await events.get()
        assert isinstance(lost, Lost)
        assert ears.lost is lost.report
        assert "nothing came from it" in (lost.report.error or "")


async def test_utterances_and_times_go_on_over_streams() -> None:
    async def hear_one(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(READY.model_dump_json())
        await connection.recv()
        await connection.send(SpeechStarted(utterance=1, start=0.25).model_dump_json())
        await connection.close(1011)

    async with hearing(hear_one) as (ears, events):
        await ears.hear(SECOND)
        first = await events.get()
        assert isinstance(await events.get(), Lost)
        assert isinstance(await events.get(), Back)
        await ears.hear(SECOND)
        second = await events.get()
    assert first == SpeechStarted(utterance=1, start=0.25)
    assert second == SpeechStarted(utterance=2, start=1.25)


async def test_a_commit_that_a_quiet_end_overtakes_is_answered() -> None:
    async def idle(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.recv()
        await connection.recv()
        await connection.close(4408)

    async with hearing(idle) as (ears, events):
        await ears.hear(SECOND)
        ears.commit()
        assert await events.get() == Committed(utterance=None)
        assert ears.lost is None


async def test_what_cannot_be_read_is_no_stt() -> None:
    async def babble(connection: ServerConnection) -> None:
        await connection.send("<html>")
        await connection.wait_closed()

    async with hearing(babble) as (ears, events):
        await ears.hear(SECOND)
        lost = await events.get()
    assert isinstance(lost, Lost)
    assert "cannot be read" in (lost.report.error or "")

"""The socket itself: a real server on loopback, with a recogniser of the test behind it."""

import asyncio
import contextlib
import json
import socket
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import SERVER_EVENT, CloseCode, ServerEvent
from chammal_kit import web_socket
from chammal_kit.app import create_app
from chammal_kit.serve import Server, configure
from chammal_stt.batcher import Priority
from chammal_stt.live.sessions import LiveSessions, router
from chammal_stt.messages import Piece, RecognisedSegment, Recognition
from chammal_stt.metrics import LIVE_SESSIONS
from chammal_stt.settings import SttSettings

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
START = '{"type": "start", "sample_rate": 16000}'
FINISH = '{"type": "finish"}'


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


class Recogniser:
    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    async def recognise(self, descriptor: int, piece: Piece, priority: Priority) -> Recognition:
        await self.open.wait()
        segment = RecognisedSegment(0.0, piece.samples / 16_000, " 참말", [1, 2], 0.0, -0.1, 1.0, 0.0)
        return Recognition("ko", [segment])


class Served:
    def __init__(self, recogniser: Recogniser, settings: SttSettings) -> None:
        self.recogniser = recogniser
        self.sessions = LiveSessions(recogniser, settings)

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
            app.state.drain = self.sessions.drain
            yield {"live": self.sessions}

        app = create_app(service="stt", distribution="chammal-stt", lifespan=lifespan, routers=[router])
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # a client that does not read is felt soon
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.server = Server(configure(app, settings, websockets=True))
        self._running = asyncio.create_task(self.server.serve([self._socket]))

    async def ready(self) -> None:
        await until(lambda: self.server.started)

    def connect(self) -> connect:
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        ours.connect(("127.0.0.1", self.port))
        return connect(f"ws://127.0.0.1:{self.port}/v1/stream", proxy=None, sock=ours)

    async def until_nobody(self) -> None:
        await until(lambda: not (self.sessions.count or self.server.server_state.connections))

    async def close(self) -> None:
        self.server.should_exit = True
        await self._running


@pytest.fixture
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture
def settings() -> SttSettings:
    return SttSettings(live_sessions=60, live_send_seconds=0.2, shutdown_seconds=10)


@pytest.fixture
async def served(recogniser: Recogniser, settings: SttSettings) -> AsyncIterator[Served]:
    served = Served(recogniser, settings)
    await served.ready()
    yield served
    recogniser.open.set()
    await served.close()


@pytest.fixture(scope="module")
def speech(audio: Path) -> bytes:
    with wave.open(str(audio / "ko_azure_1.wav")) as file:
        return file.readframes(5 * 16_000)


def chunks(data: bytes, size: int = 3200) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def rest(connection: ClientConnection) -> list[ServerEvent]:
    """All events up to the close, whatever its code."""
    events = []
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionClosedError):
            async for message in connection:
                events.append(SERVER_EVENT.validate_json(message))
    return events


async def test_a_session_over_the_wire_ends_with_done_and_an_orderly_close(served: Served, speech: bytes) -> None:
    async with served.connect() as connection:
        assert connection.response is not None
        request_id = connection.response.headers["X-Request-Id"]
        await connection.send(START)
        for chunk in chunks(speech):
            await connection.send(chunk)
        await connection.send(FINISH)
        events = await rest(connection)
    assert connection.close_code == CloseCode.FINISHED
    assert events[0].type == "ready"
    assert events[0].session == request_id
    assert [event.text for event in events if event.type == "final"]
    assert events[-1].type == "done"


async def test_a_fault_closes_with_its_own_code_and_reason(served: Served) -> None:
    async with served.connect() as connection:
        await connection.send("not json")
        events = await rest(connection)
    assert [event.type for event in events] == ["error"]
    assert connection.close_code == CloseCode.INVALID
    assert connection.close_reason
    assert connection.close_reason.startswith("The message cannot be read")


async def test_more_sessions_than_there_are_places_get_503_before_the_handshake(
    recogniser: Recogniser,
) -> None:
    served = Served(recogniser, SttSettings(live_sessions=1))
    await served.ready()
    async with served.connect() as first:
        await first.send(START)
        await first.recv()
        with pytest.raises(InvalidStatus) as refused:
            await served.connect()
        response = refused.value.response
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert json.loads(response.body or b"")["code"] == ErrorCode.OVERLOADED
    await served.until_nobody()
    async with served.connect() as again:
        await again.send(START)
        await again.recv()
    await served.close()


async def test_a_message_over_the_limit_is_refused_with_1009(served: Served) -> None:
    async with served.connect() as connection:
        await connection.send(START)
        with contextlib.suppress(ConnectionClosed):
            await connection.send(bytes(web_socket.MESSAGE_BYTES + 1))
        await rest(connection)
    assert connection.close_code == CloseCode.TOO_BIG
    await served.until_nobody()


async def test_a_thousand_connections_opened_and_dropped_leave_nothing_behind(served: Served) -> None:
    async def open_and_drop(number: int) -> None:
        connection = await served.connect()
        if number % 2:
            await connection.send(START)
        if number % 3:
            await connection.send(bytes(999))
        connection.transport.abort()

    before = open_files()
    for batch in range(0, 1000, 50):
        await asyncio.gather(*(open_and_drop(number) for number in range(batch, batch + 50)))
        await served.until_nobody()
    assert open_files() <= before
    await until(lambda: not served.server.server_state.tasks)  # one that is done is forgotten a turn of the loop later
    assert LIVE_SESSIONS.collect()[0].samples[0].value == 0
    assert len(asyncio.all_tasks()) < 10


async def test_a_client_that_stops_reading_is_dropped_though_it_keeps_its_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_socket, "ABORT_SECONDS", 0.0)
    async with served.connect() as connection:
        await connection.send(START)
        connection.transport.pause_reading()
        with contextlib.suppress(ConnectionClosed):
            while served.sessions.count:
                await connection.send('{"type": "commit"}')
        await served.until_nobody()
        connection.transport.resume_reading()


async def test_a_shutdown_sends_the_final_and_the_reason_before_it_closes(
    served: Served, recogniser: Recogniser, speech: bytes
) -> None:
    recogniser.open.clear()
    async with served.connect() as connection:
        await connection.send(START)
        for chunk in chunks(speech):
            await connection.send(chunk)
        while SERVER_EVENT.validate_json(await connection.recv()).type != "speech_started":
            pass
        closing = asyncio.create_task(served.close())
        await until(lambda: served.sessions.draining)
        recogniser.open.set()
        events = await rest(connection)
        await closing
    assert connection.close_code == CloseCode.SHUTTING_DOWN
    assert [event.type for event in events[-2:]] == ["final", "error"]
    assert events[-1].code is ErrorCode.SERVER_SHUTTING_DOWN

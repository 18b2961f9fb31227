"""Live sessions through the api: real sockets on both sides, and an stt of the test behind it."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

import pytest
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_contracts.live import SERVER_EVENT, CloseCode, LiveError, LiveStage
from chammal_contracts.stages import BreakerState
from chammal_kit.keys import KeyScope, new_key
from chammal_kit.metrics import REGISTRY
from chammal_kit.serve import Server, configure

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
KEY, STORED = new_key("page", [KeyScope.TRANSCRIBE])
START = '{"type": "start", "sample_rate": 16000}'
FINISH = '{"type": "finish"}'
DONE = '{"type": "done", "audio_seconds": 1.0, "utterances": 0}'

Talk = Callable[[ServerConnection], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)


async def closed(connection: ServerConnection) -> tuple[int, str]:
    """How the other side ended it."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.recv()
    return connection.close_code or 0, connection.close_reason or ""


class Stt:
    """Talks as the test says."""

    def __init__(self) -> None:
        self.talk: Talk = self.echo
        self.refusal: tuple[HTTPStatus, str, str] | None = None
        self.sessions: list[ServerConnection] = []
        self.ended: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    async def echo(self, connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def __call__(self, connection: ServerConnection) -> None:
        self.sessions.append(connection)
        with contextlib.suppress(ConnectionClosed):
            await self.talk(connection)
        if connection.close_code is not None:
            self.ended.put_nowait((connection.close_code, connection.close_reason or ""))

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refusal is None:
            return None
        status, content_type, body = self.refusal
        response = connection.respond(status, body)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = content_type
        response.headers["Retry-After"] = "10"
        return response


def small_socket() -> socket.socket:
    """Whoever does not read is felt soon."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    return made


class Api:
    def __init__(self, settings: ApiSettings) -> None:
        self.app = create(settings)
        self._socket = small_socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.server = Server(configure(self.app, settings, websockets=True))
        self._running = asyncio.create_task(self.server.serve([self._socket]))

    def connect(self, **options: object) -> connect:
        ours = small_socket()
        ours.connect(("127.0.0.1", self.port))
        address = f"ws://127.0.0.1:{self.port}/v1/stream"
        return connect(address, proxy=None, sock=ours, **options)  # type: ignore[arg-type]

    async def ready(self) -> None:
        await until(lambda: self.server.started)

    async def close(self) -> None:
        self.server.should_exit = True
        await self._running


@pytest.fixture
def stt() -> Stt:
    return Stt()


@pytest.fixture
async def stt_url(stt: Stt) -> AsyncIterator[str]:
    listening = small_socket()
    listening.bind(("127.0.0.1", 0))
    async with serve(stt, sock=listening, process_request=stt.answer, ping_interval=None, close_timeout=1):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        for connection in stt.sessions:
            connection.transport.abort()


@pytest.fixture
def settings(stt_url: str) -> ApiSettings:
    return ApiSettings(stt_url=stt_url, live_sessions=4, live_send_seconds=0.2, breaker_failures=2, shutdown_seconds=10)


@pytest.fixture
async def api(settings: ApiSettings) -> AsyncIterator[Api]:
    api = Api(settings)
    await api.ready()
    yield api
    await api.close()


def endings(outcome: str) -> float:
    return REGISTRY.get_sample_value("chammal_live_endings_total", {"outcome": outcome}) or 0.0


def breaker() -> str:
    states = {
        s: REGISTRY.get_sample_value("chammal_breaker_state", {"upstream": "stt", "state": s}) for s in BreakerState
    }
    return next(state for state, value in states.items() if value)


async def last_event(connection: ClientConnection) -> LiveError:
    """What came before the close, which must be a fatal error."""
    event = None
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionClosedError):
            async for message in connection:
                event = SERVER_EVENT.validate_json(message)
    assert isinstance(event, LiveError)
    assert event.fatal
    return event


async def test_text_and_binary_pass_both_ways_as_they_were_sent(api: Api) -> None:
    async with api.connect() as connection:
        for message in (START, b"\x00\x01" * 320, "not even JSON", b""):
            await connection.send(message)
            assert await connection.recv() == message


async def test_the_request_id_is_one_on_both_sides(api: Api, stt: Stt) -> None:
    async with api.connect(additional_headers={"X-Request-Id": "call-17"}) as connection:
        await connection.send(START)
        await connection.recv()
        assert connection.response is not None
        assert connection.response.headers["X-Request-Id"] == "call-17"
        assert stt.sessions[0].request is not None
        assert stt.sessions[0].request.headers["X-Request-Id"] == "call-17"


@pytest.fixture
async def keyed(settings: ApiSettings) -> AsyncIterator[Api]:
    told = {"keys": SecretStr(STORED.line()), "internal_key": SecretStr("between-us"), "requests_per_minute": 2}
    api = Api(settings.model_copy(update=told))
    await api.ready()
    yield api
    await api.close()


async def test_a_session_needs_a_key_which_may_be_a_subprotocol_and_stays_here(keyed: Api, stt: Stt) -> None:
    offered = [Subprotocol("chammal.live"), Subprotocol(f"chammal.key.{KEY}")]
    with pytest.raises(InvalidStatus) as refused:
        await keyed.connect()
    assert refused.value.response.status_code == HTTPStatus.UNAUTHORIZED
    assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"
    async with keyed.connect(subprotocols=offered) as connection:
        await connection.send(START)
        assert await connection.recv() == START
        assert connection.subprotocol == "chammal.live"
    assert stt.sessions[0].request is not None
    assert stt.sessions[0].request.headers["X-API-Key"] == "between-us"
    assert KEY not in str(stt.sessions[0].request.headers)


async def test_a_page_elsewhere_and_one_session_too_many_are_refused_in_the_handshake(keyed: Api) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    with pytest.raises(InvalidStatus) as foreign:
        await keyed.connect(additional_headers=key, origin="https://evil.example")
    assert foreign.value.response.status_code == HTTPStatus.FORBIDDEN
    for _ in range(2):
        async with keyed.connect(additional_headers=key):
            pass
    with pytest.raises(InvalidStatus) as limited:
        await keyed.connect(additional_headers=key)
    assert limited.value.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert int(limited.value.response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "down"), (4400, "말이 안 됩니다"), (1011, "own fault")]
)
async def test_the_recognisers_close_is_the_callers(api: Api, stt: Stt, code: int, reason: str) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(DONE)
        await connection.close(code, reason)

    stt.talk = talk
    async with api.connect() as connection:
        assert await connection.recv() == DONE
        await connection.wait_closed()
    assert (connection.close_code, connection.close_reason) == (code, reason)
    assert breaker() == "closed"


async def test_the_callers_close_is_the_recognisers(api: Api, stt: Stt) -> None:
    async with api.connect() as connection:
        await connection.send(START)
        await connection.recv()
        await connection.close(1000, "enough")
    assert await stt.ended.get() == (1000, "enough")


async def test_a_caller_that_vanishes_ends_the_session_of_the_recogniser(api: Api, stt: Stt) -> None:
    async with api.connect() as connection:
        await connection.send(START)
        await connection.recv()
        connection.transport.abort()
        assert (await asyncio.wait_for(stt.ended.get(), PATIENCE))[0] == CloseCode.SHUTTING_DOWN


async def test_without_a_recogniser_the_caller_is_told_and_the_breaker_opens(stt: Stt) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings = ApiSettings(stt_url=f"http://127.0.0.1:{nobody.getsockname()[1]}", breaker_failures=2)
        api = Api(settings)
        await api.ready()
        causes = []
        for _ in range(3):
            async with api.connect() as connection:
                event = await last_event(connection)
                await connection.wait_closed()
            assert (event.code, event.stage) == ("stage_failed", LiveStage.STT)
            assert connection.close_code == CloseCode.TRY_AGAIN
            causes.append(event.detail)
        await api.close()
    assert "stt: connect_error" in causes[0]
    assert "/ready" in causes[0]
    assert "stt: breaker_open" in causes[2]


async def test_a_recogniser_that_breaks_off_is_told_and_counted(api: Api, stt: Stt) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    stt.talk = talk
    before = endings("lost")
    for _ in range(5):  # ten calls, each second of them failed
        assert breaker() == "closed"
        async with api.connect() as connection:
            await connection.send(START)
            event = await last_event(connection)
            await connection.wait_closed()
        assert (event.code, event.stage) == ("stage_failed", LiveStage.STT)
        assert connection.close_code == CloseCode.FAILED
    await until(lambda: endings("lost") == before + 5)
    assert breaker() == "open"


async def test_a_recogniser_that_vanishes_without_a_word_is_found_out(stt: Stt, settings: ApiSettings) -> None:
    async def talk(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    stt.talk = talk
    api = Api(settings.model_copy(update={"idle_seconds": 0.2}))
    await api.ready()
    async with api.connect() as connection:
        event = await last_event(connection)
    assert "nothing came from it" in event.detail
    stt.sessions[0].transport.abort()
    await api.close()


PROBLEM = {
    "type": "urn:chammal:problem:x", "title": "x", "status": 503, "detail": "All 32 live sessions are taken.",
    "code": "overloaded", "error": {"message": "x", "type": "x", "code": "x"},
}  # fmt: skip


async def test_a_refusal_of_the_recogniser_is_the_callers(api: Api, stt: Stt) -> None:
    body = json.dumps(PROBLEM)
    stt.refusal = (HTTPStatus.SERVICE_UNAVAILABLE, "application/problem+json", body)
    for _ in range(3):
        with pytest.raises(InvalidStatus) as refused:
            await api.connect()
        response = refused.value.response
        assert (response.status_code, response.headers["Retry-After"]) == (503, "10")
        assert response.headers["Content-Type"] == "application/problem+json"
        assert json.loads(response.body or b"") == PROBLEM
    assert breaker() == "closed", "whose sessions are all taken still transcribes"


async def test_that_the_recogniser_does_not_know_our_key_is_not_told_as_the_callers(api: Api, stt: Stt) -> None:
    body = json.dumps(PROBLEM | {"code": "key_invalid", "status": 401})
    stt.refusal = (HTTPStatus.UNAUTHORIZED, "application/problem+json", body)
    async with api.connect() as connection:
        event = await last_event(connection)
    assert event.code == "stage_failed"
    assert connection.close_code == CloseCode.TRY_AGAIN


@pytest.mark.parametrize(("status", "state"), [(HTTPStatus.FORBIDDEN, "closed"), (HTTPStatus.BAD_GATEWAY, "open")])
async def test_only_the_recognisers_own_fault_counts_against_it(
    api: Api, stt: Stt, status: HTTPStatus, state: str
) -> None:
    stt.refusal = (status, "text/plain", "no")
    for _ in range(2):
        async with api.connect() as connection:
            event = await last_event(connection)
        assert str(int(status)) in event.detail
        assert connection.close_code == CloseCode.TRY_AGAIN
    assert breaker() == state


async def test_a_recogniser_that_shuts_down_in_good_order_is_not_blamed(api: Api, stt: Stt) -> None:
    body = json.dumps(PROBLEM | {"code": "server_shutting_down"})
    stt.refusal = (HTTPStatus.SERVICE_UNAVAILABLE, "application/problem+json", body)
    for _ in range(3):
        with pytest.raises(InvalidStatus):
            await api.connect()
    assert breaker() == "closed"


async def test_more_sessions_than_there_are_places_are_refused(api: Api, stt: Stt) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(api.connect())
        with pytest.raises(InvalidStatus) as refused:
            await api.connect()
        assert refused.value.response.status_code == 503
        assert json.loads(refused.value.response.body or b"")["code"] == "overloaded"
        assert REGISTRY.get_sample_value("chammal_live_sessions") == 4
    await until(lambda: REGISTRY.get_sample_value("chammal_live_sessions") == 0)
    async with api.connect():
        pass


async def test_a_message_too_big_ends_the_session_on_both_sides(api: Api, stt: Stt) -> None:
    async with api.connect() as connection:
        with contextlib.suppress(ConnectionClosed):
            await connection.send(b"x" * ((1 << 20) + 1))
        await connection.wait_closed()
    assert connection.close_code == CloseCode.TOO_BIG
    assert (await asyncio.wait_for(stt.ended.get(), PATIENCE))[0] == CloseCode.TOO_BIG


async def test_a_recogniser_that_does_not_read_stops_the_caller(api: Api, stt: Stt) -> None:
    reading = asyncio.Event()
    received = 0

    async def talk(connection: ServerConnection) -> None:
        nonlocal received
        connection.transport.pause_reading()
        await reading.wait()
        connection.transport.resume_reading()
        async for message in connection:
            received += len(message)
            if message == b"end":
                await connection.close()

    stt.talk = talk
    sent = 0
    async with api.connect() as connection:
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                await asyncio.wait_for(connection.send(b"x" * 32_000), 2)
                sent += 32_000
        assert sent < 20_000_000, "the kernel holds some"
        reading.set()
        await connection.send(b"end")
        await connection.wait_closed()
    assert received >= sent + 3, "nothing is lost"


async def test_a_caller_that_does_not_read_is_cut_off_and_the_recogniser_let_go(api: Api, stt: Stt) -> None:
    sent = 0

    async def talk(connection: ServerConnection) -> None:
        nonlocal sent
        while sent < 100_000_000:
            await connection.send("x" * 32_000)
            sent += 32_000

    stt.talk = talk
    before = endings("too_slow")
    async with api.connect(max_queue=1) as connection:
        await connection.send(START)
        connection.transport.pause_reading()
        await until(lambda: endings("too_slow") == before + 1)
        await asyncio.wait_for(stt.ended.get(), PATIENCE)
        connection.transport.abort()
    assert sent < 20_000_000, "the kernel holds some"


async def test_a_service_that_ends_lets_every_session_say_its_finals(settings: ApiSettings, stt: Stt) -> None:
    committed = '{"type": "committed", "utterance": null}'

    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            if json.loads(message)["type"] == "finish":
                await connection.send(committed)
                await connection.send(DONE)
                await connection.close()

    stt.talk = talk
    api = Api(settings)
    await api.ready()
    async with api.connect() as talking, api.connect() as silent:
        await talking.send(START)
        await until(lambda: len(stt.sessions) == 2)
        ending = asyncio.create_task(api.close())
        assert await talking.recv() == committed
        for connection in (talking, silent):
            assert (await last_event(connection)).code == "server_shutting_down"
            assert connection.close_code == CloseCode.SHUTTING_DOWN
        await ending


async def test_what_the_caller_has_finished_ends_as_if_nothing_was(settings: ApiSettings, stt: Stt) -> None:
    closing = asyncio.Event()
    finished = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            assert not finished.is_set(), "finish is said once"
            if json.loads(message)["type"] == "finish":
                finished.set()
                await closing.wait()
                await connection.send(DONE)
                await connection.close()

    stt.talk = talk
    api = Api(settings)
    await api.ready()
    async with api.connect() as connection:
        await connection.send(START)
        await connection.send(FINISH)
        await finished.wait()
        ending = asyncio.create_task(api.close())
        await until(lambda: api.server.should_exit)
        closing.set()
        assert await connection.recv() == DONE
        await connection.wait_closed()
        assert connection.close_code == CloseCode.FINISHED
        await ending

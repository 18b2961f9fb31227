"""How conversations begin and end: each test has an api of its own, since one process has one flow of calls."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.conversing import Api, Person
from tests.stand_in_stages import QUIET_SECOND, Stages, stand_in_stages
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from chammal_api.settings import ApiSettings
from chammal_contracts.realtime import RealtimeClose
from chammal_kit.keys import KeyScope, new_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def stages() -> Iterator[Stages]:
    with stand_in_stages() as stages:
        yield stages


Start = Callable[..., Awaitable[Api]]


@pytest.fixture
async def start(stages: Stages, tmp_path: Path) -> AsyncIterator[Start]:
    """With settings of its own."""
    running: list[Api] = []

    async def begin(**told: object) -> Api:
        urls = dict.fromkeys(("stt_url", "llm_url", "tts_url"), stages.url)
        running.append(Api(ApiSettings(data_dir=tmp_path / "data", shutdown_seconds=10).model_copy(update=urls | told)))
        await running[-1].ready()
        return running[-1]

    yield begin
    for api in running:
        await api.close()


async def test_an_unfinished_clause_and_what_follows_are_one_turn(start: Start, stages: Stages) -> None:
    stages.words = ["내일 부산에 가려고 하는데", "비가 올까요?"]
    api = await start(realtime_open_clause_seconds=60)
    async with api.connect() as connection:
        person = Person(connection)
        await person.speak()
        await person.until("input_audio_buffer.speech_stopped")
        await person.speak()
        await person.until("response.done")
    assert len(person.of("input_audio_buffer.committed")) == 1
    [completed] = person.of("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "내일 부산에 가려고 하는데 비가 올까요?"


async def test_an_unfinished_clause_is_not_waited_for_forever(start: Start, stages: Stages) -> None:
    stages.words = ["내일 부산에 가려고 하는데"]
    api = await start(realtime_open_clause_seconds=0.01)
    async with api.connect() as connection:
        person = Person(connection)
        await person.speak()
        assert (await person.until("response.done"))["response"]["status"] == "completed"


async def test_hours_of_silence_end_a_session(start: Start) -> None:
    api = await start(realtime_idle_seconds=0.2)
    async with api.connect() as connection:
        person = Person(connection)
        await person.say(QUIET_SECOND)
        code, _ = await person.closed()
    assert code == RealtimeClose.IDLE
    assert person.of("error")[0]["error"]["code"] == "session_idle"


async def test_a_session_ends_when_it_has_lasted_as_long_as_one_may(start: Start) -> None:
    api = await start(realtime_session_seconds=0.2)
    async with api.connect() as connection:
        person = Person(connection)
        code, _ = await person.closed()
    assert code == RealtimeClose.EXPIRED
    assert person.of("error")[0]["error"]["code"] == "session_expired"


async def test_more_sessions_than_there_are_places_are_told_to_come_back(start: Start) -> None:
    api = await start(realtime_sessions=1)
    async with api.connect() as connection:
        await Person(connection).until("session.created")
        with pytest.raises(InvalidStatus) as refused:
            await api.connect()
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["Retry-After"]


async def test_a_key_needs_the_scope_and_may_come_as_a_browser_sends_it(start: Start) -> None:
    key, stored = new_key("talker", [KeyScope.CONVERSATION])
    other, others = new_key("reader", [KeyScope.CHAT])
    api = await start(keys=SecretStr(f"{stored.line()};{others.line()}"))
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {other}"}, 403)):
        with pytest.raises(InvalidStatus) as refused:
            await api.connect(additional_headers=headers)
        assert refused.value.response.status_code == status
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{key}")]
    async with api.connect(subprotocols=offered) as connection:
        assert connection.subprotocol == "realtime"
        await Person(connection).until("session.created")


async def test_shutting_down_ends_a_session_after_the_answer_that_is_being_given(start: Start, stages: Stages) -> None:
    api = await start()
    stages.writing.clear()
    stages.words = ["여보세요"]
    async with api.connect() as connection:
        person = Person(connection)
        await person.speak()
        await person.until("response.created")
        api.server.should_exit = True
        stages.writing.set()
        code, _ = await person.closed()
    assert code == RealtimeClose.SHUTTING_DOWN
    assert person.of("response.done")[0]["response"]["status"] == "completed"
    assert person.of("error")[0]["error"]["code"] == "server_shutting_down"

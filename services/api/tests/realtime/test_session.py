"""Conversations over real sockets, with stand-ins for the stages."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.conversing import PATIENCE, Api, Person
from tests.stand_in_stages import QUIET_SECOND, Stages, stand_in_stages
from websockets.exceptions import InvalidStatus

from chammal_api.realtime.metrics import RealtimeOutcome
from chammal_api.settings import ApiSettings
from chammal_contracts.realtime import RealtimeClose
from chammal_kit.metrics import REGISTRY

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def all_stages() -> Iterator[Stages]:
    with stand_in_stages() as stages:
        yield stages


@pytest.fixture
def stages(all_stages: Stages) -> Iterator[Stages]:
    all_stages.reset()
    yield all_stages
    all_stages.reset()


@pytest.fixture(scope="module")
def settings(all_stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> ApiSettings:
    return ApiSettings(
        stt_url=all_stages.url,
        llm_url=all_stages.url,
        tts_url=all_stages.url,
        data_dir=tmp_path_factory.mktemp("data"),
        realtime_sessions=4,
        live_send_seconds=1,
        breaker_open_seconds=0.1,
        shutdown_seconds=10,
        realtime_prepare=True,
    )


@pytest.fixture(scope="module")
async def api(settings: ApiSettings) -> AsyncIterator[Api]:
    api = Api(settings)
    await api.ready()
    yield api
    await api.close()


@pytest.fixture
async def person(api: Api) -> AsyncIterator[Person]:
    async with api.connect() as connection:
        person = Person(connection)
        await person.until("session.created")
        yield person


async def ended(outcome: RealtimeOutcome) -> bool:
    async with asyncio.timeout(PATIENCE):
        while not REGISTRY.get_sample_value("chammal_realtime_endings_total", {"outcome": outcome}):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return True


async def test_a_session_begins_with_all_of_its_configuration(person: Person) -> None:
    session = person.events[0]["session"]
    assert session["model"] == "gpt-realtime"
    assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    assert session["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}


async def test_what_is_sent_changes_and_all_else_stays(person: Person) -> None:
    await person.configure(instructions="Be short.")
    updated = await person.configure(audio={"input": {"turn_detection": None}, "output": {"voice": "nova"}})
    session = updated["session"]
    assert session["instructions"] == "Be short."
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["audio"]["input"]["transcription"] is not None
    assert session["audio"]["output"]["voice"] == "nova"
    assert session["audio"]["output"]["speed"] == 1.0


async def test_what_is_not_supported_is_refused_by_name_and_nothing_changes(person: Person) -> None:
    refused = await person.configure(instructions="Use it.", tools=[{"type": "function", "name": "f"}])
    assert refused["error"]["code"] == "unsupported"
    assert refused["error"]["param"] == "session.tools"
    assert (await person.configure())["session"]["instructions"] == ""


async def test_a_spoken_turn_is_heard_and_answered_in_speech(person: Person, stages: Stages) -> None:
    stages.words = ["안녕하세요 반갑습니다"]
    await person.speak()
    done = await person.until("response.done")
    kinds = [kind for kind in person.kinds() if not kind.endswith(".delta")]
    assert kinds[1:9] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
    ]
    [completed] = person.of("conversation.item.input_audio_transcription.completed")
    deltas = person.of("conversation.item.input_audio_transcription.delta")
    assert completed["transcript"] == "안녕하세요 반갑습니다"
    assert "".join(event["delta"] for event in deltas) == completed["transcript"]
    assert deltas[0]["chammal"]["unsettled"].strip() == "어쩌면"
    assert len({event["item_id"] for event in (*deltas, completed)}) == 1
    response = done["response"]
    assert response["status"] == "completed"
    assert response["usage"]["total_tokens"] == 25
    stages_told = {report["stage"]: report["status"] for report in response["chammal"]["stages"]}
    assert stages_told["stt"] == stages_told["tts"] == "ok"
    audio = b"".join(base64.b64decode(event["delta"]) for event in person.of("response.output_audio.delta"))
    assert len(audio) == stages.speech_bytes * len(stages.spoken)
    assert stages.asked[0]["messages"][-1]["content"] == "안녕하세요 반갑습니다"


async def test_the_language_model_reads_the_instructions_once_while_the_person_begins_to_speak(
    person: Person, stages: Stages
) -> None:
    await person.configure(instructions="Be brief.")
    stages.words = ["하나", "둘"]
    for _ in range(2):
        await person.speak()
        await person.until("response.done")
    [ahead] = stages.read_ahead
    assert ahead["max_tokens"] == 1
    assert [asked["messages"][0] for asked in stages.asked] == [ahead["messages"][0]] * 2


async def test_a_session_in_which_nobody_speaks_asks_no_language_model(person: Person, stages: Stages) -> None:
    await person.configure(instructions="Be brief.")
    assert not stages.read_ahead


async def test_every_event_has_an_id_of_its_own(person: Person, stages: Stages) -> None:
    stages.words = ["네"]
    await person.speak()
    await person.until("response.done")
    ids = [event["event_id"] for event in person.events]
    assert all(ids)
    assert len(set(ids)) == len(ids)


async def test_push_to_talk_waits_for_the_client_and_answers_what_was_committed(person: Person, stages: Stages) -> None:
    stages.words = ["첫째", "둘째"]
    await person.configure(audio={"input": {"turn_detection": None}})
    await person.speak()
    await person.say()
    await person.send("input_audio_buffer.commit")
    await person.send("response.create")
    await person.until("response.done")
    assert not person.of("input_audio_buffer.speech_started")
    assert [event["transcript"] for event in person.of("conversation.item.input_audio_transcription.completed")] == [
        "첫째 둘째"
    ]
    assert person.kinds().index("conversation.item.done") < person.kinds().index("response.created")
    assert stages.asked[0]["messages"][-1]["content"] == "첫째 둘째"


async def test_a_commit_of_nothing_is_an_error_however_often_it_comes(person: Person) -> None:
    for number in range(50):
        await person.send("input_audio_buffer.commit", event_id=f"c{number}")
    for number in range(50):
        error = (await person.next())["error"]
        assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", f"c{number}")
    assert (await person.configure(instructions="Still here."))["type"] == "session.updated"


async def test_what_was_cleared_is_never_heard(person: Person, stages: Stages) -> None:
    stages.words = ["지워 주세요", "남겨 주세요"]
    await person.configure(audio={"input": {"turn_detection": None}})
    await person.say()
    await person.send("input_audio_buffer.clear")
    await person.until("input_audio_buffer.cleared")
    await person.say()
    await person.send("input_audio_buffer.commit")
    completed = await person.until("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "남겨 주세요"
    assert len(person.of("conversation.item.added")) == 1


async def test_noise_is_a_turn_that_nobody_answers(person: Person) -> None:
    await person.speak()
    completed = await person.until("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == ""
    await person.configure(instructions="Next.")
    assert not person.of("response.created")


async def test_speaking_into_an_answer_ends_it_and_is_answered_itself(person: Person, stages: Stages) -> None:
    stages.words = ["길게 말해 줘", "그만"]
    stages.replies = ["하나입니다. 둘입니다. 셋입니다.", "네."]
    stages.writing.clear()
    await person.speak()
    await person.until("response.output_audio_transcript.delta")
    await person.say()
    done = await person.until("response.done")
    assert done["response"]["status"] == "cancelled"
    assert done["response"]["status_details"]["reason"] == "turn_detected"
    stages.writing.set()
    await person.say(QUIET_SECOND)
    assert (await person.until("response.done"))["response"]["status"] == "completed"
    assert len(stages.asked) == 2


async def test_an_answer_is_cancelled_when_the_client_says_so(person: Person, stages: Stages) -> None:
    stages.writing.clear()
    await person.send("response.create")
    await person.until("response.created")
    await person.send("response.create", event_id="second")
    error = (await person.until("error"))["error"]
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    await person.send("response.cancel")
    done = await person.until("response.done")
    assert done["response"]["status_details"]["reason"] == "client_cancelled"


async def test_there_is_nothing_to_cancel(person: Person) -> None:
    await person.send("response.cancel")
    assert (await person.until("error"))["error"]["code"] == "response_cancel_not_active"


async def test_a_conversation_in_writing_needs_neither_ears_nor_a_voice(person: Person, stages: Stages) -> None:
    stages.broken = {"stt", "tts"}
    stages.replies = ["Hello."]
    await person.configure(output_modalities=["text"])
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    await person.send("conversation.item.create", item=item)
    await person.send("response.create")
    await person.until("response.done")
    assert person.of("response.output_text.done")[0]["text"] == "Hello."
    assert not person.of("response.output_audio.delta")


async def test_items_are_told_deleted_and_missed(person: Person) -> None:
    item = {"type": "message", "role": "user", "id": "mine", "content": [{"type": "input_text", "text": "Hi"}]}
    await person.send("conversation.item.create", item=item, previous_item_id="root")
    await person.send("conversation.item.retrieve", item_id="mine")
    assert (await person.until("conversation.item.retrieved"))["item"]["content"][0]["text"] == "Hi"
    await person.send("conversation.item.truncate", item_id="mine", content_index=0, audio_end_ms=1)
    assert (await person.until("error"))["error"]["code"] == "invalid_item"
    await person.send("conversation.item.delete", item_id="mine")
    await person.until("conversation.item.deleted")
    await person.send("conversation.item.delete", item_id="mine", event_id="again")
    error = (await person.until("error"))["error"]
    assert (error["code"], error["event_id"]) == ("item_not_found", "again")


async def test_telephone_audio_goes_to_stt_as_it_is(person: Person, stages: Stages) -> None:
    stages.words = ["네"]
    ulaw = {"type": "audio/pcmu"}
    await person.configure(audio={"input": {"format": ulaw}, "output": {"format": ulaw}})
    await person.say(bytes([0x20]) * 8000)
    await person.say(bytes([0xFF]) * 8000)
    await person.until("response.done")
    assert (stages.starts[0].encoding, stages.starts[0].sample_rate) == ("g711_ulaw", 8000)
    assert stages.spoken[0]["response_format"] == "g711_ulaw"


async def test_a_new_language_is_told_to_stt_while_the_session_goes_on(person: Person, stages: Stages) -> None:
    stages.words = ["네", "yes"]
    await person.speak()
    await person.until("response.done")
    await person.configure(audio={"input": {"transcription": {"language": "en"}}})
    await person.speak()
    await person.until("response.done")
    assert [start.language for start in stages.starts] == [None, "en"]
    starts = [event["audio_start_ms"] for event in person.of("input_audio_buffer.speech_started")]
    assert 2000 <= starts[1] <= 2100


async def test_an_stt_that_cannot_be_reached_is_named_and_comes_back_by_itself(person: Person, stages: Stages) -> None:
    stages.broken = {"stt"}
    await person.say(QUIET_SECOND * 5)
    error = (await person.until("error"))["error"]
    assert (error["code"], error["chammal"]["stage"]) == ("stage_failed", "stt")
    stages.broken = set()
    back = await person.until("chammal.stage")
    assert back["stage"]["status"] == "ok"
    assert back["lost_audio_ms"] == 3000
    stages.words = ["들리나요"]
    await person.speak()
    await person.until("response.done")
    assert stages.asked[0]["messages"][-1]["content"] == "들리나요"


async def test_an_stt_that_breaks_off_in_the_middle_costs_that_turn_alone(person: Person, stages: Stages) -> None:
    stages.words = ["끊겼다"]
    await person.say()
    await person.until("input_audio_buffer.speech_started")
    stages.lose_stt()
    assert (await person.until("error"))["error"]["chammal"]["stage"] == "stt"
    await person.until("conversation.item.input_audio_transcription.failed")
    stages.words = ["다시 말합니다"]
    await person.speak()
    await person.until("response.done")
    assert stages.asked[0]["messages"][-1]["content"] == "다시 말합니다"


async def test_a_commit_while_stt_is_gone_fails_and_nothing_answers_what_was_not_heard(
    person: Person, stages: Stages
) -> None:
    stages.broken = {"stt"}
    await person.configure(audio={"input": {"turn_detection": None}})
    await person.say()
    await person.send("input_audio_buffer.commit")
    await person.until("conversation.item.input_audio_transcription.failed")
    await person.say()
    await person.send("input_audio_buffer.commit")
    await person.until("conversation.item.input_audio_transcription.failed")
    await person.send("response.create")
    response = (await person.until("response.done"))["response"]
    assert response["status"] == "failed"
    assert {report["stage"]: report["status"] for report in response["chammal"]["stages"]} == {
        "stt": "dummy",
        "reply": "skipped",
        "tts": "skipped",
    }
    assert not stages.asked


async def test_a_language_model_that_is_gone_leaves_an_answer_that_says_so(person: Person, stages: Stages) -> None:
    stages.broken = {"llm"}
    stages.words = ["여보세요"]
    await person.speak()
    done = await person.until("response.done")
    assert done["response"]["status"] == "failed"
    assert {r["stage"]: r["status"] for r in done["response"]["chammal"]["stages"]}["reply"] == "dummy"
    stages.broken = set()
    stages.words = ["여보세요"]
    await person.speak()
    await person.until("response.done")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "invalid_event"),
        (b"\x00\x01", "invalid_event"),
        ('{"type": "input_audio_buffer.append", "audio": "%%%"}', "invalid_value"),
        ('{"type": "session.destroy"}', "unknown_event"),
    ],
)
async def test_what_cannot_be_read_is_an_error_and_the_session_goes_on(
    person: Person, message: str | bytes, code: str
) -> None:
    await person.connection.send(message)
    assert (await person.until("error"))["error"]["code"] == code
    assert (await person.configure(instructions="On."))["type"] == "session.updated"


async def test_a_frame_of_ten_megabytes_ends_the_session_and_says_why(person: Person) -> None:
    await person.connection.send("x" * 10_000_000)
    code, reason = await person.closed()
    assert code == RealtimeClose.TOO_BIG
    assert reason


async def test_a_client_that_never_reads_is_cut_off_and_another_is_not_slowed(
    api: Api, person: Person, stages: Stages
) -> None:
    stages.speech_bytes = 40_000_000
    stages.words = ["말해 줘", "나도"]
    async with api.connect(max_queue=1, close_timeout=0.1) as deaf:
        await Person(deaf).speak()
        while not stages.spoken:  # noqa: ASYNC110 the stand-in tells nobody
            await asyncio.sleep(0.01)
        stages.speech_bytes = 4800
        await person.speak()
        assert (await person.until("response.done"))["response"]["status"] == "completed"
        assert await ended(RealtimeOutcome.TOO_SLOW)


@pytest.mark.parametrize("query", ["?intent=transcription", "?call_id=x", f"?model={'m' * 200}"])
async def test_a_query_that_is_not_supported_is_refused(api: Api, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await api.connect(query)
    assert refused.value.response.status_code == 400


async def test_a_page_of_another_origin_is_refused(api: Api) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await api.connect(origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403

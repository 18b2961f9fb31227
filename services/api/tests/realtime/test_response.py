"""An answer: written, cut, spoken and sent at once; interrupted within moments; told in full when stages fail."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from chammal_api.realtime.conversation import Conversation
from chammal_api.realtime.heard import Heard
from chammal_api.realtime.responder import Responder
from chammal_api.realtime.response import Response as Answer
from chammal_api.realtime.response_config import ResponseConfig
from chammal_api.settings import ApiSettings
from chammal_contracts.errors import ErrorCode
from chammal_contracts.realtime import (
    ErrorEvent,
    ItemTruncated,
    OutputAudioDelta,
    OutputTranscriptDelta,
    ResponseDone,
    ServerEvent,
)
from chammal_contracts.realtime_items import InputText, ItemStatus, TypedMessage
from chammal_contracts.realtime_response import CancelReason, RealtimeResponse, ResponseStatus
from chammal_contracts.realtime_session import Pcm, SessionConfig, Ulaw
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.voice import Emotion, Voice, VoiceFeatures
from chammal_kit.breaker import BreakerPolicy
from chammal_kit.problems import Problem
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Upstream, UpstreamPolicy

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
SECOND = b"\1\0" * 24_000
PROVENANCE = {
    "backend": "vllm",
    "model": "qwen",
    "attempts": [{"backend": "vllm", "outcome": "ok", "http_status": 200, "seconds": 0.1}],
}
REPLY = ["안녕하세요. ", "오늘은 ", "맑습니다. ", "산책하기 좋아요."]
Body = Callable[[dict[str, Any]], AsyncIterator[bytes]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def chunk(words: str | None = None, *, finish: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": words} if words is not None else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **members}).encode() + b"\n\n"


def usage(prompt: int, completion: int) -> bytes:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": {"cached_tokens": 5}}
    return b"data: " + json.dumps({"choices": [], "usage": told}).encode() + b"\n\n"


def saying(words: Iterable[str], *, finish: str = "stop", end: bytes = b"data: [DONE]\n\n") -> Body:
    async def body(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield chunk("", chammal=PROVENANCE)
        for word in words:
            yield chunk(word)
        yield chunk(finish=finish)
        yield usage(40, 12)
        yield end

    return body


async def a_second(asked: dict[str, Any]) -> AsyncIterator[bytes]:
    yield SECOND


class Services:
    """A gateway and a tts whose answers a test writes."""

    def __init__(self) -> None:
        self.url = ""
        self.chat: Body | Response = saying(REPLY)
        self.speech: Body | Response = a_second
        self.speech_headers: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.spoken: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        """Somebody hung up in the middle of an answer."""
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/audio/speech", self._speech, methods=["POST"]),
            ]
        )

    async def _chat(self, request: Request) -> Response:
        asked = await request.json()
        self.asked.append(asked)
        if isinstance(self.chat, Response):
            return self.chat
        return StreamingResponse(self._watched(self.chat(asked)), media_type="text/event-stream")

    async def _speech(self, request: Request) -> Response:
        asked = await request.json()
        self.spoken.append(asked)
        if isinstance(self.speech, Response):
            return self.speech
        return StreamingResponse(self._watched(self.speech(asked)), media_type="audio/pcm", headers=self.speech_headers)

    async def _watched(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for piece in body:
                yield piece
        except (asyncio.CancelledError, GeneratorExit):
            self.left.set()
            raise


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    services = Services()
    server = uvicorn.Server(uvicorn.Config(services.app, port=0, log_config=None, lifespan="off"))
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not server.started:  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)
    services.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield services
    server.should_exit = server.force_exit = True
    await running


class Desk:
    """What a session would be to its answers."""

    def __init__(self, url: str, settings: ApiSettings) -> None:
        policy = UpstreamPolicy(retry=RetryPolicy(retries=0), breaker=BreakerPolicy(failures_in_a_row=50))
        self.llm = Upstream("llm-gateway", url, policy)
        self.tts = Upstream("tts", url, policy)
        self.responder = Responder(self.llm, self.tts, settings)
        self.conversation = Conversation()
        self.events: list[ServerEvent] = []
        self.stirred = asyncio.Event()

    async def send(self, event: ServerEvent) -> None:
        self.events.append(event.model_copy(deep=True))
        self.stirred.set()

    async def until(self, kind: type[ServerEvent], count: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.of(kind)) < count:
                self.stirred.clear()
                await self.stirred.wait()

    def of(self, kind: type[ServerEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def respond(self, session: SessionConfig | None = None, heard: Heard | None = None) -> Answer:
        config = ResponseConfig.of(session or SessionConfig(), self.conversation.id)
        return self.responder.respond(self.conversation, config, heard)

    async def answer(self, session: SessionConfig | None = None, heard: Heard | None = None) -> RealtimeResponse:
        async with asyncio.timeout(PATIENCE):
            await self.respond(session, heard).run(self.send)
        assert isinstance(self.events[-1], ResponseDone)
        return self.events[-1].response

    @property
    def kinds(self) -> list[str]:
        """Without repetition."""
        kinds = [event.type.removeprefix("response.") for event in self.events]
        return [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind]

    @property
    def text(self) -> str:
        return "".join(event.delta for event in self.of(OutputTranscriptDelta))

    @property
    def audio(self) -> bytes:
        return b"".join(base64.b64decode(event.delta) for event in self.of(OutputAudioDelta))


@pytest.fixture
async def desk(services: Services) -> AsyncIterator[Desk]:
    made = Desk(services.url, ApiSettings(realtime_reply_seconds=20, realtime_speech_seconds=20, realtime_prepare=True))
    made.conversation.create(TypedMessage(content=[InputText(text="날씨가 어때요?")]))
    yield made
    await made.llm.aclose()
    await made.tts.aclose()


def report(response: RealtimeResponse, stage: Stage) -> StageReport:
    assert response.chammal is not None
    return next(report for report in response.chammal.stages if report.stage is stage)


def audio_session(**output: Any) -> SessionConfig:
    return SessionConfig.model_validate({"type": "realtime", "audio": {"output": output}})


def heard(emotion: Emotion) -> Heard:
    features = VoiceFeatures(
        f0_hz=200, f0_deviation_hz=40, rms=0.1, zcr=0.1, syllables_per_second=4.0, voiced_share=0.6
    )
    voice = Voice(
        emotion=emotion,
        probabilities={emotion: 1.0},
        rules=[],
        f0_measured=True,
        measured=features,
        adapted=features,
        baseline=0,
    )
    return Heard(
        item_id="turn",
        text="hello",
        language="en",
        voice=voice,
        stages=(StageReport(stage=Stage.STT, status=StageStatus.OK),),
        stopped_at=asyncio.get_running_loop().time() - 1.0,
        seconds={"silence": 0.6, "after_endpoint": 0.1, "waited": 0.0},
    )


async def test_an_answer_is_told_in_the_protocols_order(desk: Desk) -> None:
    response = await desk.answer()
    assert [desk.kinds[place] for place in (0, 1, 2, 3)] == [
        "created",
        "output_item.added",
        "conversation.item.added",
        "content_part.added",
    ]
    assert desk.kinds[-6:] == [
        "output_audio.done",
        "output_audio_transcript.done",
        "content_part.done",
        "conversation.item.done",
        "output_item.done",
        "done",
    ]
    assert desk.text == "".join(REPLY)
    assert desk.audio == SECOND * 3
    assert (response.status, response.status_details) == (ResponseStatus.COMPLETED, None)
    (item,) = response.output
    assert (item.status, item.content[0].transcript) == (ItemStatus.COMPLETED, "".join(REPLY))
    assert desk.conversation.items[-1] == item


async def test_it_says_who_answered_what_it_took_and_where_the_time_went(services: Services, desk: Desk) -> None:
    services.speech_headers = {"Chammal-Backend": "kokoro"}
    response = await desk.answer(heard=heard(Emotion.NEUTRAL))
    reply, speech = report(response, Stage.REPLY), report(response, Stage.TTS)
    assert (reply.status, reply.backend, reply.model) == (StageStatus.OK, "vllm", "qwen")
    assert (speech.status, speech.backend, len(speech.attempts)) == (StageStatus.OK, "kokoro", 3)
    assert report(response, Stage.STT).status is StageStatus.OK
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (40, 12)
    assert response.usage.input_token_details.cached_tokens == 5
    assert response.chammal is not None
    seconds = response.chammal.seconds
    parts = ["silence", "after_endpoint", "waited", "first_words", "first_sentence", "first_sample", "overhead"]
    assert list(seconds) == [*parts, "first_out", "whole"]
    assert sum(seconds[part] for part in parts) == pytest.approx(seconds["first_out"], abs=0.001)


async def test_each_sentence_is_spoken_while_the_next_is_written(services: Services, desk: Desk) -> None:
    go_on = asyncio.Event()

    async def slowly(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield chunk("안녕하세요. ", chammal=PROVENANCE)
        await go_on.wait()
        yield chunk("좋습니다.", finish="stop")
        yield b"data: [DONE]\n\n"

    services.chat = slowly
    running = asyncio.create_task(desk.respond().run(desk.send))
    await desk.until(OutputAudioDelta)
    assert desk.text == "안녕하세요. "
    go_on.set()
    await running
    assert [asked["input"] for asked in services.spoken] == ["안녕하세요.", "좋습니다."]


async def test_the_next_sentence_is_made_while_the_one_before_it_waits_to_leave(services: Services, desk: Desk) -> None:
    unread = asyncio.Event()

    async def stuck(event: ServerEvent) -> None:
        if isinstance(event, OutputAudioDelta):
            await unread.wait()
        await desk.send(event)

    running = asyncio.create_task(desk.respond().run(stuck))
    async with asyncio.timeout(PATIENCE):
        while len(services.spoken) < 2:  # noqa: ASYNC110 the stand-in tells nobody
            await asyncio.sleep(0.01)
    assert desk.audio == b""
    unread.set()
    await running
    assert desk.audio == SECOND * 3


async def test_audio_leaves_before_the_sentence_is_made_to_its_end(services: Services, desk: Desk) -> None:
    go_on = asyncio.Event()

    async def slowly(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield SECOND[:4801]
        await go_on.wait()
        yield SECOND[4801:]

    services.speech = slowly
    running = asyncio.create_task(desk.respond().run(desk.send))
    await desk.until(OutputAudioDelta)
    assert len(desk.audio) == 4800
    go_on.set()
    await running
    assert desk.audio == SECOND * 3
    assert max(len(base64.b64decode(event.delta)) for event in desk.of(OutputAudioDelta)) <= 9600


async def test_an_interrupted_answer_stops_everything_and_keeps_what_was_heard(services: Services, desk: Desk) -> None:
    async def endless(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield chunk("하나 둘 셋 넷. ", chammal=PROVENANCE)
        await asyncio.Event().wait()

    services.chat = endless
    response = desk.respond()
    running = asyncio.create_task(response.run(desk.send))
    await desk.until(OutputAudioDelta, 5)
    assert response.audible
    async with asyncio.timeout(PATIENCE):
        await response.cancel(CancelReason.TURN_DETECTED)
        await services.left.wait()
    await running
    (done,) = desk.of(ResponseDone)
    assert done.response.status is ResponseStatus.CANCELLED
    assert done.response.status_details.reason is CancelReason.TURN_DETECTED
    assert report(done.response, Stage.REPLY).status is StageStatus.SKIPPED
    (truncated,) = desk.of(ItemTruncated)
    assert 0 <= truncated.audio_end_ms <= 1000
    kept = desk.conversation.items[-1].content[0].transcript
    assert kept != "하나 둘 셋 넷. "
    assert "하나 둘 셋 넷.".startswith(kept)
    assert desk.events[-1] is truncated


async def test_an_interruption_reaches_a_tts_that_is_still_at_work(services: Services, desk: Desk) -> None:
    asked = asyncio.Event()

    async def hanging(_: dict[str, Any]) -> AsyncIterator[bytes]:
        asked.set()
        yield SECOND[:100]
        await asyncio.Event().wait()

    services.speech = hanging
    response = desk.respond()
    running = asyncio.create_task(response.run(desk.send))
    async with asyncio.timeout(PATIENCE):
        await asked.wait()
        await response.cancel(CancelReason.CLIENT_CANCELLED)
        await services.left.wait()
        await running
    assert desk.of(ResponseDone)[0].response.status is ResponseStatus.CANCELLED


async def test_an_answer_that_is_all_sent_and_not_all_heard_is_still_truncated(desk: Desk) -> None:
    response = desk.respond()
    await response.run(desk.send)
    assert (response.over, response.audible) == (True, True)
    await response.cancel(CancelReason.TURN_DETECTED)
    assert desk.of(ResponseDone)[0].response.status is ResponseStatus.COMPLETED
    (truncated,) = desk.of(ItemTruncated)
    assert truncated.audio_end_ms < 3000
    assert desk.conversation.items[-1].status is ItemStatus.INCOMPLETE


async def test_what_the_client_said_was_heard_outranks_the_clock(desk: Desk) -> None:
    response = desk.respond()
    await response.run(desk.send)
    desk.conversation.truncate(response.item_id, 2000)
    await response.cancel(CancelReason.TURN_DETECTED)
    assert not desk.of(ItemTruncated)
    assert desk.conversation.items[-1].content[0].transcript == "안녕하세요. 오늘은 맑습니다."


async def test_an_answer_that_is_cancelled_before_it_began_says_only_that(services: Services, desk: Desk) -> None:
    response = desk.respond()
    cancelling = asyncio.create_task(response.cancel(CancelReason.CLIENT_CANCELLED))
    await asyncio.sleep(0)
    await response.run(desk.send)
    await cancelling
    assert desk.kinds == ["created", "done"]
    assert (services.asked, len(desk.conversation.items)) == ([], 1)


async def test_an_item_that_the_client_has_deleted_stays_deleted(desk: Desk) -> None:
    response = desk.respond()
    await response.run(desk.send)
    desk.conversation.delete(response.item_id)
    await response.cancel(CancelReason.TURN_DETECTED)
    assert not desk.of(ItemTruncated)


@pytest.mark.parametrize(("language", "apology"), [("한국어로 해 줘", "죄송합니다"), ("in English", "I am sorry")])
async def test_without_a_language_model_an_apology_is_spoken_and_marked(
    services: Services, desk: Desk, language: str, apology: str
) -> None:
    attempts = [{"backend": "vllm", "outcome": "failed", "error_type": "connect_error", "seconds": 0.1}]
    problem = Problem(503, ErrorCode.BACKENDS_FAILED, "Every backend failed.", attempts=attempts)
    services.chat = JSONResponse(problem.body().model_dump(mode="json"), 503)
    desk.conversation.create(TypedMessage(content=[InputText(text=language)]))
    response = await desk.answer()
    assert desk.text.startswith(apology)
    assert desk.audio
    assert response.status is ResponseStatus.FAILED
    assert response.status_details is not None
    assert response.status_details.error is not None
    reply = report(response, Stage.REPLY)
    assert (reply.status, reply.backend) == (StageStatus.DUMMY, None)
    assert [attempt.backend for attempt in reply.attempts] == ["vllm"]
    (error,) = desk.of(ErrorEvent)
    assert (error.error.code, error.error.chammal.stage) == (ErrorCode.BACKENDS_FAILED, Stage.REPLY)
    assert apology not in str(desk.conversation.messages("S", 1000).messages)


async def test_a_language_model_that_is_not_there_at_all_is_the_same(services: Services, desk: Desk) -> None:
    desk.llm.base_url = "http://127.0.0.1:9"
    response = await desk.answer()
    assert report(response, Stage.REPLY).status is StageStatus.DUMMY
    assert desk.audio


@pytest.mark.parametrize("end", [b"", b'event: error\ndata: {"detail": "it broke"}\n\n', b"data: [1]\n\n"])
async def test_an_answer_that_breaks_off_is_kept_as_far_as_it_goes(services: Services, desk: Desk, end: bytes) -> None:
    async def breaking(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield chunk("하나입니다. 둘", chammal=PROVENANCE)
        yield end

    services.chat = breaking
    response = await desk.answer()
    assert response.status is ResponseStatus.FAILED
    assert (desk.text, [asked["input"] for asked in services.spoken]) == ("하나입니다. 둘", ["하나입니다.", "둘"])
    reply = report(response, Stage.REPLY)
    assert (reply.status, reply.backend) == (StageStatus.DEGRADED, "vllm")
    assert response.output[0].status is ItemStatus.INCOMPLETE
    assert desk.conversation.messages("S", 500).messages[-1]["content"] == "하나입니다. 둘"
    assert len(desk.of(ErrorEvent)) == 1


async def test_a_fall_back_of_the_gateway_is_named(services: Services, desk: Desk) -> None:
    attempts = [
        {"backend": "vllm", "outcome": "failed", "error_type": "connect_error", "seconds": 0.1},
        {"backend": "llamacpp", "outcome": "ok", "seconds": 0.1},
    ]

    async def fallen_back(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield chunk("네.", chammal={"backend": "llamacpp", "model": "qwen", "attempts": attempts}, finish="stop")
        yield b"data: [DONE]\n\n"

    services.chat = fallen_back
    reply = report(await desk.answer(), Stage.REPLY)
    assert (reply.status, reply.backend) == (StageStatus.DEGRADED, "llamacpp")


async def test_without_tts_the_text_arrives_and_the_stage_is_named_once(services: Services, desk: Desk) -> None:
    services.speech = Response("no", 500)
    response = await desk.answer()
    assert (response.status, desk.text, desk.audio) == (ResponseStatus.COMPLETED, "".join(REPLY), b"")
    assert report(response, Stage.TTS).status is StageStatus.DUMMY
    (error,) = desk.of(ErrorEvent)
    assert error.error.chammal.stage is Stage.TTS
    assert len(services.spoken) == 2
    assert desk.conversation.messages("S", 500).messages[-1]["content"] == "".join(REPLY)


async def test_what_a_tts_has_tried_is_told(services: Services, desk: Desk) -> None:
    attempts = [{"backend": "kokoro", "outcome": "failed", "error_type": "unavailable", "seconds": 0.1}]
    problem = Problem(503, ErrorCode.BACKENDS_FAILED, "No engine spoke.", attempts=attempts)
    services.speech = JSONResponse(problem.body().model_dump(mode="json"), 503)
    response = await desk.answer()
    assert {attempt.backend for attempt in report(response, Stage.TTS).attempts} == {"kokoro"}


async def test_a_tts_that_fails_once_speaks_the_next_sentence(services: Services, desk: Desk) -> None:
    async def once(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield SECOND[: 4800 if len(services.spoken) == 1 else None]
        if len(services.spoken) == 1:
            raise ConnectionResetError

    services.speech = once
    response = await desk.answer()
    speech = report(response, Stage.TTS)
    assert speech.status is StageStatus.DEGRADED
    assert speech.error is not None
    assert "2 of 3 pieces" in speech.error
    assert desk.audio == SECOND[:4800] + SECOND * 2


async def test_figures_alone_are_spoken_in_the_language_of_the_answer(services: Services, desk: Desk) -> None:
    services.chat = saying(["전화번호입니다. ", "1588-1234.\n", "Call it. ", "24.\n"])
    await desk.answer()
    assert [(asked["input"], asked.get("language")) for asked in services.spoken] == [
        ("전화번호입니다.", None),
        ("1588-1234.", "ko"),
        ("Call it.", None),
        ("24.", "en"),
    ]


async def test_an_answer_of_figures_is_spoken_in_the_persons_language(services: Services, desk: Desk) -> None:
    services.chat = saying(["42"])
    await desk.answer()
    assert [asked.get("language") for asked in services.spoken] == ["ko"]


async def test_a_tts_that_hangs_is_waited_for_once(services: Services) -> None:
    async def hanging(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    services.speech = hanging
    desk = Desk(services.url, ApiSettings(realtime_speech_seconds=0.2))
    response = await desk.answer()
    assert (len(services.spoken), report(response, Stage.TTS).error_type) == (1, "read_timeout")
    await desk.llm.aclose()
    await desk.tts.aclose()


async def test_a_sentence_with_nothing_to_speak_is_nobodys_failure(services: Services, desk: Desk) -> None:
    problem = Problem(422, ErrorCode.INPUT_UNSPEAKABLE, "Nothing to say.")
    services.speech = JSONResponse(problem.body().model_dump(mode="json"), 422)
    response = await desk.answer()
    assert report(response, Stage.TTS).status is StageStatus.SKIPPED
    assert not desk.of(ErrorEvent)


async def test_a_voice_that_does_not_exist_is_named_in_the_services_words(services: Services, desk: Desk) -> None:
    problem = Problem(404, ErrorCode.VOICE_NOT_FOUND, "There is no voice 'x'.")
    services.speech = JSONResponse(problem.body().model_dump(mode="json"), 404)
    await desk.answer(audio_session(voice="x"))
    (error,) = desk.of(ErrorEvent)
    assert error.error.code == ErrorCode.VOICE_NOT_FOUND
    assert "no voice 'x'" in error.error.message
    assert len(services.spoken) == 1


async def test_text_alone_needs_no_tts(services: Services, desk: Desk) -> None:
    response = await desk.answer(SessionConfig(output_modalities=["text"]))
    assert "output_text.delta" in desk.kinds
    assert "output_text.done" in desk.kinds
    assert not any("audio" in kind for kind in desk.kinds)
    assert services.spoken == []
    assert report(response, Stage.TTS).status is StageStatus.SKIPPED
    assert response.output[0].content[0].text == "".join(REPLY)


async def test_an_answer_that_reached_its_most_tokens_is_incomplete(services: Services, desk: Desk) -> None:
    services.chat = saying(["긴 이야기"], finish="length")
    response = await desk.answer(SessionConfig(max_output_tokens=7))
    assert services.asked[0]["max_tokens"] == 7
    assert response.status is ResponseStatus.INCOMPLETE
    assert response.status_details is not None
    assert response.status_details.reason == "max_output_tokens"


async def test_the_session_says_how_it_is_to_sound(services: Services, desk: Desk) -> None:
    services.speech = saying_bytes(b"\x7f" * 8000)
    await desk.answer(audio_session(voice="marin", speed=1.2, format={"type": "audio/pcmu"}))
    asked = services.spoken[0]
    assert (asked["voice"], asked["speed"], asked["response_format"]) == ("marin", 1.2, "g711_ulaw")
    assert "emotion" not in asked
    assert len(desk.audio) == 3 * 8000


def saying_bytes(samples: bytes) -> Body:
    async def body(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield samples

    return body


@pytest.mark.parametrize(
    ("mood", "sounds"), [(Emotion.ANGRY, "calm"), (Emotion.HAPPY, "happy"), (Emotion.NEUTRAL, None)]
)
async def test_a_mood_is_answered_in_a_tone_that_suits_it(
    services: Services, desk: Desk, mood: Emotion, sounds: str | None
) -> None:
    await desk.answer(heard=heard(mood))
    assert services.spoken[0].get("emotion") == sounds


async def test_the_language_model_is_told_the_sessions_instructions_and_the_conversation(
    services: Services, desk: Desk
) -> None:
    await desk.answer(SessionConfig(instructions="Speak like a pirate."))
    await desk.answer(SessionConfig(instructions="Speak like a pirate."))
    first, second = services.asked
    assert first["messages"][0]["content"].startswith("Speak like a pirate.")
    assert (first["stream"], first["model"]) == (True, "default")
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant"]
    assert second["messages"][:2] == first["messages"]


async def test_what_did_not_fit_is_said(services: Services) -> None:
    desk = Desk(services.url, ApiSettings(realtime_history_tokens=300))
    for number in range(20):
        desk.conversation.create(TypedMessage(content=[InputText(text=f"{number} " + "word " * 30)]))
    response = await desk.answer()
    assert response.chammal is not None
    assert response.chammal.left_out > 10
    await desk.llm.aclose()
    await desk.tts.aclose()


async def test_a_fault_of_its_own_ends_the_answer_and_not_the_session(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(desk.conversation.__class__, "messages", broken)
    response = await desk.answer()
    assert response.status is ResponseStatus.FAILED
    assert response.status_details is not None
    assert response.status_details.error is not None
    assert response.status_details.error.code == ErrorCode.INTERNAL_ERROR


async def test_a_session_that_ends_takes_its_answer_with_it(services: Services, desk: Desk) -> None:
    async def endless(asked: dict[str, Any]) -> AsyncIterator[bytes]:
        yield chunk("하나. ", chammal=PROVENANCE)
        await asyncio.Event().wait()

    services.chat = endless
    running = asyncio.create_task(desk.respond().run(desk.send))
    await desk.until(OutputAudioDelta)
    running.cancel()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([running])
        await services.left.wait()
    assert running.cancelled()
    assert not desk.of(ResponseDone)


def test_formats_are_those_of_the_protocol() -> None:
    config = ResponseConfig.of(audio_session(format={"type": "audio/pcmu"}), "c")
    assert (config.format, ResponseConfig.of(SessionConfig(), "c").format) == (Ulaw(), Pcm())


async def test_conversations_that_begin_alike_at_once_are_read_ahead_in_one_request(
    desk: Desk, services: Services
) -> None:
    await asyncio.gather(*(desk.responder.prepare(words) for words in ("Be brief.", "Be brief.", "Be kind.")))
    told = sorted(asked["messages"][0]["content"].split("\n")[0] for asked in services.asked)
    assert told == ["Be brief.", "Be kind."]
    assert {asked["max_tokens"] for asked in services.asked} == {1}


async def test_what_cannot_be_read_ahead_is_left_to_the_answer(desk: Desk, services: Services) -> None:
    services.chat = Response(status_code=503)
    await desk.responder.prepare("Be brief.")
    services.chat = saying(["네."])
    response = await desk.answer()
    assert response.status == "completed"


async def test_nothing_is_read_ahead_unless_that_is_switched_on(services: Services) -> None:
    desk = Desk(services.url, ApiSettings())
    await desk.responder.prepare("Be brief.")
    assert services.asked == []
    await desk.llm.aclose()
    await desk.tts.aclose()

"""The official openai client holds a conversation with the api and the gateway in processes of their own."""

import base64
import os
import re
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.stand_in_stages import LOUD_SECOND, QUIET_SECOND, Stages, stand_in_stages
from tests.wire.openai_realtime import connected, of, say, until
from tests.wire.service import ROOT, Service

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def stages() -> Iterator[Stages]:
    with stand_in_stages() as stages:
        yield stages


@pytest.fixture(scope="module")
def api(stages: Stages) -> Iterator[Service]:
    gateway = Service(["-m", "chammal_llm_gateway"], "LLM", LLM_VLLM_URL=stages.url)
    urls = {"API_STT_URL": stages.url, "API_TTS_URL": stages.url, "API_LLM_URL": gateway.url}
    api = Service(["-m", "chammal_api"], "API", **urls, API_BREAKER_OPEN_SECONDS=0.1)
    yield api
    api.close()
    gateway.close()


@pytest.fixture
async def connection(api: Service) -> AsyncIterator[AsyncRealtimeConnection]:
    async with connected(api.url) as connection:
        yield connection


async def speak(connection: AsyncRealtimeConnection) -> None:
    await say(connection, LOUD_SECOND + QUIET_SECOND)


async def test_three_turns_are_heard_and_answered_in_speech(
    connection: AsyncRealtimeConnection, stages: Stages
) -> None:
    turns = {"안녕하세요": "반갑습니다. 무엇을 도와 드릴까요?", "Book a table.": "For how many?", "두 명이요": "네."}
    await connection.session.update(
        session={
            "type": "realtime",
            "instructions": "Be brief.",
            "audio": {
                "input": {
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": 0.5,
                        "silence_duration_ms": 400,
                        "interrupt_response": False,
                    }
                },
                "output": {"voice": "marin"},
            },
        }
    )
    updated, _ = await until(connection, "session.updated")
    assert updated.session.audio.input.turn_detection.silence_duration_ms == 400
    for said, answer in turns.items():
        stages.words, stages.replies = [said], [answer]
        await speak(connection)
        done, events = await until(connection, "response.done")
        assert done.response.status == "completed"
        assert done.response.usage.output_tokens > 0
        [heard] = of(events, "conversation.item.input_audio_transcription.completed")
        assert heard.transcript == said
        [spoken] = of(events, "response.output_audio_transcript.done")
        assert spoken.transcript == answer
        audio = [base64.b64decode(event.delta) for event in of(events, "response.output_audio.delta")]
        assert audio
        assert all(audio)
        assert not of(events, "error")
    told = [message["content"] for message in stages.asked[-1]["messages"]]
    assert told[1:] == ["안녕하세요", *list(turns.values())[:1], "Book a table.", "For how many?", "두 명이요"]
    assert told[0].startswith("Be brief.")


async def test_push_to_talk_and_text_work_as_openai_describes_them(
    connection: AsyncRealtimeConnection, stages: Stages
) -> None:
    await connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    stages.words, stages.replies = ["적어 주세요"], ["적었습니다."]
    await speak(connection)
    await connection.input_audio_buffer.commit()
    await connection.response.create(response={"output_modalities": ["text"]})
    done, events = await until(connection, "response.done")
    assert done.response.status == "completed"
    assert of(events, "response.output_text.done")[0].text == "적었습니다."
    assert not of(events, "response.output_audio.delta")


async def test_each_stage_fails_in_a_turn_and_the_session_goes_on(
    connection: AsyncRealtimeConnection, stages: Stages
) -> None:
    for stage in ("llm", "tts"):
        stages.broken, stages.words = {stage}, ["들리세요"]
        await speak(connection)
        failed, _ = await until(connection, "error")
        assert failed.error.type == "server_error"
        await until(connection, "response.done")
    stages.broken = {"stt"}
    stages.lose_stt()
    await until(connection, "error")
    await speak(connection)
    stages.broken, stages.words, stages.replies = set(), ["다시요"], ["네, 들립니다."]
    await until(connection, "chammal.stage")
    done, events = await until(connection, "response.done")
    assert done.response.status == "completed"
    assert of(events, "response.output_audio_transcript.done")[0].transcript == "네, 들립니다."
    assert of(events, "response.output_audio.delta")


def test_the_client_of_the_docs_is_answered(api: Service, stages: Stages, tmp_path: Path) -> None:
    (client,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "realtime.md").read_text(encoding="utf-8"), re.S)
    script, question, answer = tmp_path / "talk.py", tmp_path / "question.wav", tmp_path / "answer.wav"
    script.write_text(client, encoding="utf-8")
    with wave.open(str(question), "wb") as recording:
        recording.setparams((1, 2, 24_000, 0, "NONE", ""))
        recording.writeframes(LOUD_SECOND)
    stages.words, stages.replies = ["몇 시예요"], ["세 시입니다."]
    ran = subprocess.run(
        [sys.executable, script, question, answer],
        env=os.environ | {"CHAMMAL_URL": api.url, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n")[:2] == ["heard:  몇 시예요", "answer: 세 시입니다."]
    with wave.open(str(answer)) as kept:
        assert kept.getnframes() == stages.speech_bytes // 2

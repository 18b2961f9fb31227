"""The official openai client talks to the whole mesh, with real models, while its stages are killed."""

import asyncio
import base64
import os
import re
import signal
from typing import Any

import numpy as np
import pytest
from bench.stt.audio import decode
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.web.talk_mesh import AUDIO, CLIPS
from tests.wire.conftest import Mesh
from tests.wire.openai_realtime import connected, of, say, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.model,
    pytest.mark.skipif(not AUDIO.exists(), reason="no recordings"),
]

RATE = 24_000
SILENCE = np.zeros(RATE * 2, np.int16).tobytes()
SECONDS = 240.0
"""For an answer, or for a stage to come back; recognition, words and speech share two cores."""
INSTRUCTIONS = "You answer the telephone of a restaurant. Answer in one short sentence, in the language of the caller."
MODULES = {"reply": "chammal.llamacpp", "tts": "chammal_tts", "stt": "chammal_stt"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def clip(number: int) -> bytes:
    name, begin = CLIPS[number]
    return decode(AUDIO / name, RATE)[int(RATE * begin) :].tobytes()


async def begin(connection: AsyncRealtimeConnection) -> None:
    """What is said while it answers is no interruption: the recordings come faster than anybody speaks."""
    detection: Any = {"type": "semantic_vad", "interrupt_response": False}
    await connection.session.update(
        session={
            "type": "realtime",
            "instructions": INSTRUCTIONS,
            "audio": {"input": {"turn_detection": detection}},
            "max_output_tokens": 60,
        }
    )
    await until(connection, "session.updated")


async def answered(connection: AsyncRealtimeConnection, number: int) -> tuple[Any, list[Any]]:
    await say(connection, clip(number) + SILENCE)
    return await until(connection, "response.done", SECONDS)


def stages(done: Any) -> dict[str, str]:
    return {one["stage"]: one["status"] for one in done.response.chammal["stages"]}


def seconds_of_audio(events: list[Any]) -> float:
    return sum(len(base64.b64decode(one.delta)) for one in of(events, "response.output_audio.delta")) / (2 * RATE)


async def test_three_spoken_turns_are_heard_and_answered_in_speech(mesh: Mesh) -> None:
    async with connected(mesh.url) as connection:
        await begin(connection)
        for number, script in enumerate(("[가-힣]", "[A-Za-z]", "[가-힣]")):
            done, events = await answered(connection, number)
            (heard,) = of(events, "conversation.item.input_audio_transcription.completed")
            (spoken,) = of(events, "response.output_audio_transcript.done")
            assert re.search(script, heard.transcript)
            assert spoken.transcript.strip()
            assert seconds_of_audio(events) > 0.3
            assert stages(done) == {"stt": "ok", "emotion": "ok", "reply": "ok", "tts": "ok"}
            assert not of(events, "error")
        assert done.response.usage.input_tokens > 0


@pytest.mark.parametrize("stage", MODULES)
async def test_a_stage_is_killed_in_the_middle_of_a_turn_and_the_session_goes_on(mesh: Mesh, stage: str) -> None:
    async with connected(mesh.url) as connection:
        await begin(connection)
        said = clip(0)
        if stage == "stt":
            await say(connection, said[: len(said) // 2])
            await until(connection, "input_audio_buffer.speech_started", SECONDS)
            kill(mesh, stage)
            await until(connection, "error", SECONDS)
            await until(connection, "chammal.stage", SECONDS)
        else:
            await say(connection, said + SILENCE)
            await until(connection, "response.created", SECONDS)
            kill(mesh, stage)
            done, events = await until(connection, "response.done", SECONDS)
            assert stages(done)[stage] in {"degraded", "dummy"}
            told = [one.error.message for one in of(events, "error")]
            assert any(f"The stage {stage} failed" in message for message in told)
        done, events = await whole(connection)
        assert stages(done)[stage] == "ok"
        assert seconds_of_audio(events) > 0.3


def kill(mesh: Mesh, stage: str) -> None:
    (process,) = mesh.pids(MODULES[stage])
    os.kill(process, signal.SIGKILL)


async def whole(connection: AsyncRealtimeConnection) -> tuple[Any, list[Any]]:
    """The next answer of the same session in which every stage works."""
    async with asyncio.timeout(SECONDS):
        while True:
            done, events = await answered(connection, 0)
            if all(status == "ok" for status in stages(done).values()):
                return done, events

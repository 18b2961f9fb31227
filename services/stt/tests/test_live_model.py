"""Live sessions with the real service and the real model: what a client gets for real recordings."""

import asyncio
import json
import os
import re
import subprocess
import sys
import unicodedata
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from websockets.asyncio.client import connect

from chammal_contracts.live import SERVER_EVENT, Final, Partial, ServerEvent, SpeechStarted, SpeechStopped

pytestmark = [pytest.mark.anyio, pytest.mark.model]

PATIENCE = 240.0
JFK = "And so my fellow Americans ask not what your country can do for you, ask what you can do for your country."
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "live.md"


def read(path: Path, rate: int) -> npt.NDArray[np.int16]:
    resampler = av.AudioResampler("s16", "mono", rate)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


async def converse(server: Any, samples: npt.NDArray[np.int16], rate: int, **start: object) -> list[ServerEvent]:
    """Sends a tenth of a second whenever an event loop's turn comes: faster than anyone speaks."""
    events = []
    async with asyncio.timeout(PATIENCE), connect(address(server), proxy=None) as connection:
        await connection.send(json.dumps({"type": "start", "sample_rate": rate} | start))

        async def speak() -> None:
            for first in range(0, len(samples), rate // 10):
                await connection.send(samples[first : first + rate // 10].tobytes())
            await connection.send('{"type": "finish"}')

        speaking = asyncio.create_task(speak())
        async for message in connection:
            events.append(SERVER_EVENT.validate_json(message))
        await speaking
    return events


def address(server: Any) -> str:
    return f"ws://127.0.0.1:{server.client.base_url.port}/v1/stream"


def errors(said: str, heard: str) -> float:
    """Share of characters, without spaces and punctuation."""
    a, b = letters(said), letters(heard)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1] / len(a)


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def finals(events: list[ServerEvent]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


@pytest.fixture(scope="module")
def narration(audio: Path) -> str:
    manifest = json.loads((audio / "manifest.json").read_text())
    files = manifest if isinstance(manifest, list) else manifest["files"]
    return next(str(entry["reference"]) for entry in files if entry["file"] == "ko_azure_1.wav")


async def test_korean_narration_comes_out_as_it_was_said(server: Any, audio: Path, narration: str) -> None:
    events = await converse(server, read(audio / "ko_azure_1.wav", 16_000), 16_000, language="ko")
    text = " ".join(final.text for final in finals(events))
    assert errors(narration, text) < 0.15
    check_order(events)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_english_is_understood_at_every_rate(server: Any, audio: Path, rate: int) -> None:
    told = {} if rate == 16_000 else {"language": "en"}  # whisper-base takes 8 kHz English for Greek now and then
    events = await converse(server, read(audio / "en_jfk.flac", rate), rate, partials=False, **told)
    assert errors(JFK, " ".join(final.text for final in finals(events))) < 0.12
    assert {final.language for final in finals(events)} == {"en"}
    check_order(events)


async def test_silence_and_noise_give_no_text(server: Any) -> None:
    noise = (np.random.default_rng(7).normal(0, 600, 8 * 16_000)).astype(np.int16)
    silence = np.zeros(4 * 16_000, np.int16)
    events = await converse(server, np.concatenate((silence, noise, silence)), 16_000)
    assert not [final.text for final in finals(events) if final.text]


def check_order(events: list[ServerEvent]) -> None:
    """Each utterance starts, is shown, stops and is final; stable text only grows; words lie within their utterance."""
    assert [events[0].type, events[-1].type] == ["ready", "done"]
    stable: dict[int, str] = {}
    state: dict[int, str] = {}
    for event in events:
        match event:
            case SpeechStarted():
                assert event.utterance not in state
                state[event.utterance] = "speaking"
            case Partial():
                assert state[event.utterance] == "speaking"
                assert event.stable.startswith(stable.get(event.utterance, ""))
                assert event.text.startswith(event.stable)
                stable[event.utterance] = event.stable
            case SpeechStopped():
                assert state[event.utterance] == "speaking"
                state[event.utterance] = "stopped"
            case Final():
                assert state[event.utterance] == "stopped"
                state[event.utterance] = "final"
                assert event.text.startswith(stable.get(event.utterance, ""))
                assert event.start < event.end
                assert all(event.start - 1.5 <= word.start <= word.end <= event.end + 1 for word in event.words)
    assert set(state.values()) == {"final"}


@pytest.fixture
def short_clip(audio: Path, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "clip.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(read(audio / "ko_naver_041.wav", 16_000).tobytes())
    return path


async def test_the_client_in_the_document_runs(server: Any, short_clip: Path, tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found
    script = tmp_path / "client.py"
    script.write_text(found[1])
    shown = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(script), str(short_clip)],
        env=os.environ | {"CHAMMAL_STREAM": address(server)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert shown.returncode == 0, shown.stderr
    assert "영업" in shown.stdout


@pytest.mark.parametrize(
    ("name", "rate", "low", "high"), [("ko_azure_1.wav", 24_000, 170, 220), ("en_jfk.flac", 8_000, 200, 280)]
)
async def test_each_final_says_how_it_was_said(
    server: Any, audio: Path, name: str, rate: int, low: float, high: float
) -> None:
    samples = read(audio / name, rate)[: 12 * rate]
    said = finals(await converse(server, samples, rate, language=name[:2], voice=True))
    assert all((final.voice is None) is (final.voice_missing is not None) for final in said)
    voice = max(said, key=lambda final: final.end - final.start).voice
    assert voice is not None
    assert voice.f0_measured
    assert low < voice.measured.f0_hz < high
    assert 2 < (voice.measured.syllables_per_second or 0) < 9
    assert 0.4 < voice.measured.voiced_share <= 1

"""What /ready says of an engine, and what becomes of one that does not return."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import pytest
from starlette.testclient import TestClient

from chammal_tts.app import create
from chammal_tts.settings import TtsSettings
from chammal_tts.work import Work

from .conftest import GUARD_SECONDS, FakeEngine, wait_until_ready

ASK = {"input": "Yes.", "voice": "alloy", "response_format": "pcm"}


@pytest.fixture
def open_client(engine: FakeEngine, settings: TtsSettings) -> Callable[..., object]:
    @contextmanager
    def opened(given_up: threading.Event | None = None, **told: object) -> Iterator[TestClient]:
        told_settings = settings.model_copy(update=told)
        app = create(told_settings, lambda _: engine, (given_up or threading.Event()).set)
        with TestClient(app, raise_server_exceptions=False) as client:
            wait_until_ready(lambda path: client.get(path).status_code)
            engine.begun.clear()
            yield client

    return opened


def test_what_was_spoken_lately_proves_that_the_engine_speaks(open_client, engine: FakeEngine) -> None:
    with open_client(ready_fresh_seconds=1000) as client:
        assert client.post("/v1/audio/speech", json=ASK).status_code == 200
        engine.begun.clear()
        assert client.get("/ready").status_code == 200
    assert engine.begun == []


def test_an_engine_that_has_not_spoken_lately_says_a_word(open_client, engine: FakeEngine) -> None:
    with open_client(ready_fresh_seconds=0.001) as client:
        client.get("/ready")
    assert [utterance.text for utterance in engine.begun] == ["Yes."]


def test_an_engine_that_has_come_to_fail_is_not_ready_and_says_why(open_client, engine: FakeEngine) -> None:
    with open_client(ready_fresh_seconds=0) as client:
        engine.fails_on = "Yes"
        answer = client.get("/ready")
    assert answer.status_code == 503
    assert "the engine broke" in answer.json()["checks"][0]["reason"]


def test_whoever_waits_for_an_engine_that_hangs_is_told_and_the_service_gives_up(
    open_client, engine: FakeEngine
) -> None:
    given_up = threading.Event()
    with open_client(given_up, hung_seconds=0.1) as client:
        engine.gated = True
        answer = client.post("/v1/audio/speech", json=ASK)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "worker_died", "5")
        assert given_up.is_set()
        assert "does not return" in client.get("/ready").json()["checks"][0]["reason"]
        engine.allow(100)


@pytest.mark.anyio
async def test_a_long_sentence_is_given_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chammal_tts.work.TURN_SECONDS", 0.01)
    given_up = asyncio.Event()
    work = Work(0.01, 60, given_up.set)
    watching = asyncio.create_task(work.watch())
    with work.sentence(characters=1000):
        await asyncio.sleep(0.1)
        assert not given_up.is_set()
    with work.sentence(characters=0):
        async with asyncio.timeout(GUARD_SECONDS):
            await given_up.wait()
    await watching


SERVICE = """
import threading
from chammal_kit.serve import serve
from chammal_tts.app import create
from chammal_tts.settings import TtsSettings
from chammal_tts.engine import Capabilities, Speech
from chammal_tts.script import Language
from chammal_tts.voices import find_voice
import numpy as np

class Engine:
    name, sample_rate, capabilities = "kokoro", 24_000, Capabilities(frozenset(Language))
    voices = frozenset({"af_alloy", "am_echo", "af_heart", "jf_alpha", "jm_kumo"})
    def voice(self, name):
        return find_voice(name, self.voices)
    def speak(self, utterance, stop):
        if "forever" in utterance.text:
            threading.Event().wait()
        return Speech(np.ones(2400, np.float32), 1)

settings = TtsSettings()
serve(create(settings, lambda _: Engine()), settings)
"""


def test_a_process_whose_engine_hangs_ends_itself_to_be_started_anew() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAMMAL_")}
    environment |= {"CHAMMAL_TTS_PORT": str(port), "CHAMMAL_TTS_HUNG_SECONDS": "1", "CHAMMAL_SHUTDOWN_SECONDS": "2"}
    process = subprocess.Popen([sys.executable, "-c", SERVICE], env=environment, stderr=subprocess.DEVNULL)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            end = time.monotonic() + 60
            while not is_ready(client):
                assert time.monotonic() < end
                time.sleep(0.05)
            answer = client.post("/v1/audio/speech", json={**ASK, "input": "forever"})
        assert answer.json()["code"] == "worker_died"
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()


def is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx2.TransportError:
        return False

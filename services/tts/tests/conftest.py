import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from chammal_tts.app import create
from chammal_tts.engine import Capabilities, Speech, Stop, Stopped, Utterance
from chammal_tts.script import Language
from chammal_tts.settings import TtsSettings
from chammal_tts.voices import Voice, find_voice

SAMPLE_RATE = 24_000
GUARD_SECONDS = 20.0


class FakeEngine:
    """A tone of 0.01 s for each character. With `gated`, every sentence waits for `allow()`."""

    name = "kokoro"
    sample_rate = SAMPLE_RATE
    voices = frozenset({"af_alloy", "am_echo", "af_heart", "jf_alpha", "jm_kumo"})
    capabilities = Capabilities(frozenset(Language), speeds=(0.25, 4.0))

    def __init__(self) -> None:
        self.gated = False
        self.fails_on: str | None = None
        self.begun: list[Utterance] = []
        self.made: list[Utterance] = []
        self._gate = threading.Semaphore(0)

    def voice(self, name: str) -> Voice | None:
        return find_voice(name, self.voices)

    def allow(self, sentences: int) -> None:
        self._gate.release(sentences)

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        self.begun.append(utterance)
        with stop.interrupts(self._gate.release):
            if self.gated:
                assert self._gate.acquire(timeout=GUARD_SECONDS), "nobody allowed this sentence"
            if stop.requested:
                raise Stopped
        if self.fails_on and self.fails_on in utterance.text:
            raise ValueError("the engine broke")
        self.made.append(utterance)
        length = int(0.01 * len(utterance.text) / utterance.speed * SAMPLE_RATE)
        tone = np.sin(2 * np.pi * 440 * np.arange(length) / SAMPLE_RATE)
        return Speech((0.3 * tone).astype(np.float32), len(utterance.text))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def settings() -> TtsSettings:
    return TtsSettings(models_dir=Path("nowhere"), model_poll_seconds=0.01, limit_least=1, limit_most=1)


def wait_until_ready(get: Callable[[str], int]) -> None:
    for _ in range(2000):
        if get("/ready") == 200:
            return
    raise AssertionError("never ready")


@pytest.fixture
def client(engine: FakeEngine, settings: TtsSettings) -> Iterator[TestClient]:
    with TestClient(create(settings, lambda _: engine), raise_server_exceptions=False) as client:
        wait_until_ready(lambda path: client.get(path).status_code)
        engine.begun.clear()
        engine.made.clear()
        yield client


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Runs an app on a real socket, since in-process clients gather a streamed body before they return it."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: FastAPI) -> str:
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
        started = threading.Event()
        original = server.startup

        async def startup(sockets: list[object] | None = None) -> None:
            await original(sockets=sockets)  # type: ignore[arg-type]
            started.set()

        server.startup = startup  # type: ignore[method-assign, assignment]
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        assert started.wait(GUARD_SECONDS)
        running.append((server, thread))
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(GUARD_SECONDS)

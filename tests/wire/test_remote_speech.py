"""A tts whose first engine is another speech server over the network; here a second tts, which has the model."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.wire.service import Service, until

pytestmark = pytest.mark.model

ASKED = {"input": "안녕하세요.", "voice": "alloy", "response_format": "pcm"}
MODELS = {"MODELS_DIR": os.environ.get("CHAMMAL_MODELS_DIR", "models")}


@pytest.fixture
def remote() -> Iterator[Service]:
    service = Service(["-m", "chammal_tts"], "TTS", **MODELS)
    until(lambda: service.status("/ready") == 200)
    yield service
    service.close()


@pytest.fixture
def tts(remote: Service) -> Iterator[Service]:
    service = Service(["-m", "chammal_tts"], "TTS", **MODELS, TTS_OPENAI_URL=remote.url)
    until(lambda: service.client.get("/ready").json().get("degraded") == [])
    yield service
    service.close()


def test_it_speaks_and_is_replaced_when_it_is_killed_and_speaks_again_when_it_is_back(
    tts: Service, remote: Service
) -> None:
    answer = tts.client.post("/v1/audio/speech", json=ASKED)
    assert answer.headers["chammal-attempts"] == "openai=ok"
    assert len(answer.content) > 24_000
    os.kill(remote.process.pid, signal.SIGKILL)
    remote.process.wait()
    replaced = tts.client.post("/v1/audio/speech", json=ASKED)
    assert replaced.headers["chammal-attempts"].endswith("kokoro=ok")
    assert replaced.headers["chammal-degraded"] == "tts=degraded"
    assert len(replaced.content) > 24_000
    back = Service(["-m", "chammal_tts"], "TTS", remote.port, **MODELS)
    try:
        until(lambda: back.status("/ready") == 200)
        until(
            lambda: tts.client.post("/v1/audio/speech", json=ASKED).headers["chammal-attempts"].startswith("openai=ok")
        )
    finally:
        back.close()

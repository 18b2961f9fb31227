"""SIGTERM to each service while it works: what was begun is finished, what is new is refused, the exit is clean."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.wire.service import PATIENCE, ROOT, Service, Upstream, children, is_alive, until

CHAT = {"model": "default", "messages": [{"role": "user", "content": "?"}], "stream": True}
AUDIO = Path(os.environ.get("CHAMMAL_TEST_AUDIO", ROOT.parent / "shared" / "audio"))
SLOW_TTS = """
import sys, time
from pathlib import Path
import numpy as np
from chammal_kit.serve import serve
from chammal_tts.app import create
from chammal_tts.engine import Capabilities, Speech
from chammal_tts.script import Language
from chammal_tts.settings import TtsSettings
from chammal_tts.voices import find_voice

class Engine:
    name, sample_rate, capabilities = "kokoro", 24_000, Capabilities(frozenset(Language))
    voices = frozenset({"af_alloy", "am_echo", "af_heart", "jf_alpha", "jm_kumo"})
    def voice(self, name):
        return find_voice(name, self.voices)
    def speak(self, utterance, stop):
        while "wait" in utterance.text and not Path(sys.argv[1]).exists():
            time.sleep(0.01)
        return Speech(np.ones(2400, np.float32), 1)

settings = TtsSettings()
serve(create(settings, lambda _: Engine()), settings)
"""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def gateway(upstream: Upstream) -> Iterator[Service]:
    service = Service(["-m", "chammal_llm_gateway"], "LLM", LLM_VLLM_URL=upstream.url)
    yield service
    service.close()


@pytest.fixture
def api(upstream: Upstream) -> Iterator[Service]:
    urls = dict.fromkeys(("API_LLM_URL", "API_STT_URL", "API_TTS_URL"), upstream.url)
    service = Service(["-m", "chammal_api"], "API", **urls)
    yield service
    service.close()


def assert_refused(kept: httpx2.Client, url: str, body: dict[str, object]) -> None:
    refused = kept.post(url, json=body)
    assert (refused.status_code, refused.json()["code"]) == (503, "server_shutting_down")
    assert (refused.headers["connection"], refused.headers["retry-after"]) == ("close", "1")


def assert_finishes_a_stream(service: Service, upstream: Upstream) -> None:
    upstream.go.clear()
    path = f"{service.url}/v1/chat/completions"
    with (
        httpx2.Client(timeout=PATIENCE, trust_env=False) as kept,
        httpx2.stream("POST", path, json=CHAT, timeout=PATIENCE, trust_env=False) as answer,
    ):
        pieces = answer.iter_text()
        said = next(pieces)
        assert kept.get(f"{service.url}/health").status_code == 200
        service.told_to_stop()
        assert service.client.get("/ready").json()["checks"][0]["reason"] == "draining"
        assert_refused(kept, path, CHAT)
        upstream.go.set()
        assert "[DONE]" in said + "".join(pieces)
    assert service.process.wait(PATIENCE) == 0


def test_the_gateway_finishes_its_streams(gateway: Service, upstream: Upstream) -> None:
    assert_finishes_a_stream(gateway, upstream)


def test_the_api_finishes_its_streams(api: Service, upstream: Upstream) -> None:
    assert_finishes_a_stream(api, upstream)


def test_tts_finishes_its_sentences(tmp_path: Path) -> None:
    go = tmp_path / "go"
    service = Service(["-c", SLOW_TTS, str(go)], "TTS")
    try:
        until(lambda: service.status("/ready") == 200)
        body = {"input": "Please wait. And wait.", "response_format": "pcm"}
        answers: list[httpx2.Response] = []

        def ask() -> None:
            answers.append(httpx2.post(f"{service.url}/v1/audio/speech", json=body, timeout=PATIENCE, trust_env=False))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        until(lambda: b'chammal_limit_in_flight{limit="tts"} 1.0' in metrics(service))
        with httpx2.Client(timeout=PATIENCE, trust_env=False) as kept:
            kept.get(f"{service.url}/health")
            service.told_to_stop()
            assert_refused(kept, f"{service.url}/v1/audio/speech", body)
        go.touch()
        asking.join(PATIENCE)
        assert answers[0].status_code == 200
        assert len(answers[0].content) >= 2 * 2400 * 2
        assert service.process.wait(PATIENCE) == 0
    finally:
        service.close()


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by /proc")
def test_stt_finishes_its_recordings_and_leaves_no_worker() -> None:
    models = Path(os.environ.get("CHAMMAL_MODELS_DIR", ROOT / "models")).absolute()
    service = Service(
        ["-m", "chammal_stt"], "STT", MODELS_DIR=models, STT_MODEL="whisper-tiny.en", STT_WORKERS=1, STT_DECODERS=1
    )
    try:
        until(lambda: service.status("/ready") == 200)
        workers = children(service.process.pid)
        assert len(workers) == 2
        (recogniser,) = (pid for pid in workers if b"recogniser" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(recogniser, signal.SIGSTOP)  # so that the recording is surely in flight
        answers: list[httpx2.Response] = []

        def ask() -> None:
            files = {"file": ("a.flac", (AUDIO / "en_jfk.flac").read_bytes())}
            path = f"{service.url}/v1/audio/transcriptions"
            answers.append(httpx2.post(path, files=files, data={"language": "en"}, timeout=PATIENCE, trust_env=False))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        until(lambda: b"chammal_stt_pieces_in_flight 1.0" in metrics(service))
        with httpx2.Client(timeout=PATIENCE, trust_env=False) as kept:
            kept.get(f"{service.url}/health")
            service.told_to_stop()
            assert_refused(kept, f"{service.url}/v1/audio/transcriptions", {})
        os.kill(recogniser, signal.SIGCONT)
        asking.join(PATIENCE)
        assert "ask not" in answers[0].json()["text"]
        assert service.process.wait(PATIENCE) == 0
        until(lambda: not any(map(is_alive, workers)))
    finally:
        service.close()


def metrics(service: Service) -> bytes:
    return service.client.get("/metrics").content

"""A speech server of somebody else's, its answers made here, and what is said when it fails."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import numpy as np
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from chammal_tts.app import create
from chammal_tts.settings import EngineName, TtsSettings

from .conftest import FakeEngine, wait_until_ready

URL = "/v1/audio/speech"
ASK = {"input": "가나다.", "response_format": "pcm"}
SAMPLES = (8_000 * np.sin(2 * np.pi * 440 * np.arange(12_000) / 24_000)).astype("<i2").tobytes()


class SpeechServer(httpx2.AsyncBaseTransport):
    """Half a second of a tone, in pieces of odd sizes."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.status = 200
        self.media_type = "audio/pcm"
        self.pieces = [SAMPLES[at : at + 3_001] for at in range(0, len(SAMPLES), 3_001)]
        self.breaks_after: int | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.status == 0:
            raise httpx2.ConnectError("nobody there")
        body = b"".join([piece async for piece in request.stream])  # type: ignore[union-attr]
        self.asked.append(json.loads(body))
        self.keys.append(request.headers.get("authorization"))
        assert str(request.url) == "http://speech.test/v1/audio/speech"
        return httpx2.Response(self.status, headers={"content-type": self.media_type}, content=self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        for number, piece in enumerate(self.pieces):
            if number == self.breaks_after:
                raise httpx2.ReadError("cut")
            yield piece


@pytest.fixture
def server() -> SpeechServer:
    return SpeechServer()


Open = Callable[..., Any]


@pytest.fixture
def open_client(server: SpeechServer, engine: FakeEngine, settings: TtsSettings) -> Open:
    @contextmanager
    def opened(**told: object) -> Iterator[TestClient]:
        told_settings = settings.model_copy(update={"openai_url": "http://speech.test", **told})
        app = create(told_settings, lambda _: engine, transport=lambda: server)
        with TestClient(app, raise_server_exceptions=False) as client:
            wait_until_ready(lambda path: client.get(path).status_code)
            while not all(check["ready"] for check in client.get("/ready").json()["checks"]):
                pass
            engine.made.clear()
            yield client

    return opened


def test_its_samples_are_the_answer_and_the_answer_says_whose_they_are(open_client: Open, server: SpeechServer) -> None:
    with open_client(openai_model="m", openai_key=SecretStr("k")) as client:
        answer = client.post(URL, json={**ASK, "speed": 1.5, "voice": "echo"})
    assert answer.status_code == 200
    assert answer.content[: len(SAMPLES)] == pytest.approx(SAMPLES) or np.allclose(
        np.frombuffer(answer.content[: len(SAMPLES)], "<i2"), np.frombuffer(SAMPLES, "<i2"), atol=1
    )
    assert len(answer.content) == pytest.approx(len(SAMPLES) + 2 * 24_000 * 0.28 / 1.5, abs=4)
    assert answer.headers["chammal-backend"] == "openai"
    assert answer.headers["chammal-attempts"] == "openai=ok"
    assert "chammal-degraded" not in answer.headers
    assert server.asked == [{"model": "m", "input": "가나다.", "voice": "echo", "response_format": "pcm", "speed": 1.5}]
    assert server.keys == ["Bearer k"]


@pytest.mark.parametrize("audio_format", ["mp3", "g711_ulaw", "wav"])
def test_its_samples_become_any_format(open_client: Open, audio_format: str) -> None:
    with open_client() as client:
        answer = client.post(URL, json={**ASK, "response_format": audio_format})
    assert answer.status_code == 200
    assert len(answer.content) > 3_000


@pytest.mark.parametrize(
    ("trouble", "attempts"),
    [
        ({"status": 0}, "openai=connect_error, kokoro=ok"),
        ({"status": 500}, "openai=http_error, kokoro=ok"),
        ({"status": 401}, "openai=misconfigured, kokoro=ok"),
        ({"status": 404}, "openai=rejected, kokoro=ok"),
        ({"media_type": "text/html"}, "openai=invalid_response, kokoro=ok"),
        ({"pieces": []}, "openai=invalid_response, kokoro=ok"),
        ({"breaks_after": 0}, "openai=connection_lost, kokoro=ok"),
    ],
)
def test_when_it_fails_the_next_engine_speaks_and_the_answer_says_so(
    open_client: Open, server: SpeechServer, engine: FakeEngine, trouble: dict[str, Any], attempts: str
) -> None:
    for name, value in trouble.items():
        setattr(server, name, value)
    with open_client() as client:
        answer = client.post(URL, json=ASK)
    assert answer.status_code == 200
    assert answer.headers["chammal-backend"] == "kokoro"
    assert answer.headers["chammal-attempts"] == attempts
    assert answer.headers["chammal-degraded"] == "tts=degraded"
    assert len(engine.made) == 1


def test_an_answer_that_has_begun_is_cut_and_not_said_again_by_another(
    open_client: Open, server: SpeechServer, engine: FakeEngine
) -> None:
    server.breaks_after = 2
    with open_client() as client:
        answer = client.post(URL, json={**ASK, "stream_format": "sse"})
    last = json.loads(answer.text.split("\n\n")[-2].removeprefix("data: "))
    assert last["type"] == "error"
    assert engine.made == []


def test_when_all_fail_the_problem_names_every_attempt(
    open_client: Open, server: SpeechServer, engine: FakeEngine
) -> None:
    server.status = 500
    with open_client() as client:
        engine.fails_on = "가나다"
        answer = client.post(URL, json=ASK)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (503, "backends_failed")
    assert [attempt["backend"] for attempt in body["attempts"]] == ["openai", "kokoro"]
    assert int(answer.headers["retry-after"]) >= 1


def test_its_key_stays_here_whatever_it_repeats(
    open_client: Open, server: SpeechServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.status, server.pieces = 401, [b"No such key: sk-of-ours"]
    with open_client(openai_key=SecretStr("sk-of-ours")) as client:
        answer = client.post(URL, json={**ASK, "model": "openai"})
    assert answer.status_code == 503
    assert "sk-of-ours" not in answer.text + str(answer.headers) + caplog.text


def test_its_breaker_spares_it_and_ready_says_so_while_the_service_still_speaks(
    open_client: Open, server: SpeechServer
) -> None:
    server.status = 500
    with open_client(openai_breaker_failures=2) as client:
        for _ in range(4):
            answer = client.post(URL, json=ASK)
        ready = client.get("/ready")
    assert len(server.asked) == 2
    assert answer.headers["chammal-attempts"] == "openai=breaker_open, kokoro=ok"
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["openai"])


def test_a_model_that_names_an_engine_is_answered_by_no_other(
    open_client: Open, server: SpeechServer, engine: FakeEngine
) -> None:
    with open_client() as client:
        assert client.post(URL, json={**ASK, "model": "kokoro"}).headers["chammal-backend"] == "kokoro"
        assert server.asked == []
        server.status = 500
        assert client.post(URL, json={**ASK, "model": "openai"}).status_code == 503
        assert {"openai", "kokoro"} <= {card["id"] for card in client.get("/v1/models").json()["data"]}


def test_a_voice_that_only_one_engine_has_chooses_it_and_another_takes_its_own_when_that_fails(
    open_client: Open, server: SpeechServer, engine: FakeEngine
) -> None:
    with open_client(openai_voice="theirs") as client:
        assert client.post(URL, json={**ASK, "voice": "af_heart"}).headers["chammal-attempts"] == "kokoro=ok"
        assert client.post(URL, json={**ASK, "voice": "theirs"}).headers["chammal-attempts"] == "openai=ok"
        engine.fails_on = "가나다"
        answer = client.post(URL, json={**ASK, "voice": "af_heart"})
        assert answer.headers["chammal-attempts"] == "kokoro=invalid_response, openai=ok"
        assert client.post(URL, json={**ASK, "voice": "nobody"}).status_code == 404
        assert "theirs" in {voice["id"] for voice in client.get("/v1/audio/voices").json()["data"]}
    assert [asked["voice"] for asked in server.asked] == ["theirs", "theirs"]


def test_an_engine_is_not_asked_for_a_language_that_it_lacks(open_client: Open, server: SpeechServer) -> None:
    with open_client(openai_languages=("en",), engines=(EngineName.OPENAI, EngineName.KOKORO)) as client:
        assert client.post(URL, json=ASK).headers["chammal-attempts"] == "kokoro=ok"
        assert client.post(URL, json={**ASK, "input": "Yes."}).headers["chammal-attempts"] == "openai=ok"
        answer = client.post(URL, json={**ASK, "model": "openai"})
    assert (answer.status_code, answer.json()["code"]) == (422, "language_unknown")


def test_instructions_go_to_a_model_that_reads_them_and_are_prosody_for_one_that_does_not(
    open_client: Open, server: SpeechServer
) -> None:
    told = {**ASK, "instructions": "Speak slowly.", "emotion": "sad"}
    with open_client(openai_instructions=True) as client:
        plain = client.post(URL, json=told)
    with open_client() as client:
        shaped = client.post(URL, json=told)
    reads, hears = server.asked
    assert reads["instructions"] == "Speak slowly. Speak in a tone that is sad."
    assert reads["speed"] == 1.0
    assert "instructions" not in hears
    assert hears["speed"] == pytest.approx(0.85 * 0.88)
    assert np.abs(np.frombuffer(shaped.content, "<i2")).max() < np.abs(np.frombuffer(plain.content, "<i2")).max()


def test_fall_backs_are_counted(open_client: Open, server: SpeechServer) -> None:
    server.status = 500
    name = 'chammal_tts_fallbacks_total{backend="kokoro"} '
    with open_client() as client:
        client.post(URL, json=ASK)
        before = float(client.get("/metrics").text.split(name)[1].split("\n")[0])
        client.post(URL, json=ASK)
        assert float(client.get("/metrics").text.split(name)[1].split("\n")[0]) == before + 1

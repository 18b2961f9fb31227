"""Models over HTTP: named, listed, loaded, unloaded, switched."""

import threading
import wave
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import cycle
from pathlib import Path

import av
import httpx2
import pytest

from chammal_contracts.models import ModelState, SpeechModel, SpeechModelList

BASE, TINY = "whisper-base", "whisper-tiny.en"


def cards(server) -> dict[str, SpeechModel]:
    listed = SpeechModelList.model_validate_json(server.client.get("/v1/models").content)
    return {card.id: card for card in listed.data}


def state(server, model: str) -> ModelState:
    return cards(server)[model].state


def command(server, model: str, verb: str) -> httpx2.Response:
    return server.client.post(f"/v1/models/{model}/{verb}")


def make_default(server, model: str) -> httpx2.Response:
    return server.client.put("/v1/models/default", json={"model": model})


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_every_model_is_listed_and_missing_ones_name_their_command(bare_server) -> None:
    listed = cards(bare_server)
    assert {BASE, TINY, "whisper-small", "whisper-large-v3-turbo"} <= set(listed)
    assert all(card.command == f"chammal models fetch {name}" for name, card in listed.items() if not card.alias_of)
    assert {card.state for card in listed.values()} == {ModelState.MISSING}
    assert [name for name, card in listed.items() if card.default] == [BASE]
    assert listed["whisper-1"].alias_of == BASE
    assert listed[TINY].languages == ["en"]


def test_a_row_is_openais_model_object(bare_server) -> None:
    row = bare_server.client.get("/v1/models").json()["data"][0]
    assert (row["object"], type(row["created"]), row["owned_by"]) == ("model", int, "chammal")


@pytest.mark.parametrize("model", [BASE, TINY])
def test_a_model_that_is_missing_is_not_loaded_and_its_command_is_told(bare_server, model: str) -> None:
    for answer in (command(bare_server, model, "load"), make_default(bare_server, model)):
        assert refusal(answer) == (503, "model_unavailable")
        assert answer.json()["command"] == f"chammal models fetch {model}"
        assert answer.json()["command"] in answer.json()["detail"]


def test_a_recording_for_a_missing_model_is_refused_with_its_command(bare_server, recordings) -> None:
    answer = bare_server.post("a.wav", recordings.wav(recordings.sound(1.0)), model=TINY)
    assert refusal(answer) == (503, "model_unavailable")
    assert answer.json()["command"] == f"chammal models fetch {TINY}"


@pytest.mark.parametrize("model", ["tts-1", "kokoro", "..", "x" * 2000])
def test_models_that_are_none_of_this_service_are_not_found(bare_server, model: str) -> None:
    assert refusal(make_default(bare_server, model)) == (404, "model_not_found")
    if model != "..":
        assert refusal(command(bare_server, model, "load")) == (404, "model_not_found")
        assert refusal(command(bare_server, model, "unload")) == (404, "model_not_found")


def test_unloading_what_is_missing_does_not_make_the_service_ready(bare_server) -> None:
    assert command(bare_server, BASE, "unload").json()["state"] == ModelState.MISSING
    assert bare_server.client.get("/ready").status_code == 503


@pytest.fixture(scope="module")
def jfk(audio: Path) -> bytes:
    return (audio / "en_jfk.flac").read_bytes()


@pytest.fixture(scope="module")
def fellow_americans(jfk: bytes) -> bytes:
    """The first three seconds."""
    with av.open(BytesIO(jfk)) as container:
        resampler = av.AudioResampler("s16", "mono", 16_000)
        samples = b"".join(
            bytes(out.planes[0])[: out.samples * 2]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        )
    made = BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples[: 3 * 32_000])
    return made.getvalue()


@pytest.fixture
def two(start_server, two_models_dir: Path, tmp_path: Path):
    """Starts servers that have both models."""
    started = []

    def start(**settings: object):
        server = start_server(two_models_dir, tmp_path, **{"workers": 1, "beam_size": 1} | settings)
        started.append(server)
        server.until(server.ready)
        return server

    yield start
    for server in started:
        server.close()


def transcribed_by(server, content: bytes, **fields: str) -> str:
    answer = server.post("a.flac", content, response_format="verbose_json", **fields)
    assert answer.status_code == 200, answer.text
    assert "americans" in answer.json()["text"].lower()
    return str(answer.json()["model"])


@pytest.mark.model
def test_a_model_is_loaded_when_a_request_names_it(two, fellow_americans: bytes) -> None:
    server = two()
    assert state(server, TINY) is ModelState.ON_DISK
    assert transcribed_by(server, fellow_americans, model=TINY) == TINY
    card = cards(server)[TINY]
    assert card.state is ModelState.RESIDENT
    assert card.size_bytes == 78_090_594
    assert card.memory_bytes is None or card.memory_bytes > card.size_bytes / 2
    assert (card.in_flight, card.default) == (0, False)
    assert card.idle_seconds is not None
    assert transcribed_by(server, fellow_americans, model="whisper-1") == BASE
    assert server.metric("chammal_stt_resident_models") == 2


@pytest.mark.model
def test_a_language_that_the_model_does_not_know_is_refused(two, fellow_americans: bytes) -> None:
    answer = two().post("a.wav", fellow_americans, model=TINY, language="ko")
    assert refusal(answer) == (400, "language_unknown")
    assert answer.json()["accepted"] == ["en"]


@pytest.mark.model
def test_unloading_frees_the_memory_and_the_default_comes_back_when_it_is_asked_for(
    two, fellow_americans: bytes
) -> None:
    server = two()
    (process,) = server.workers("recogniser_process")
    assert command(server, "whisper-1", "unload").json()["state"] == ModelState.ON_DISK
    assert process not in server.workers("recogniser_process")
    assert server.ready()
    assert state(server, BASE) is ModelState.ON_DISK, "/ready does not load what was unloaded on purpose"
    assert transcribed_by(server, fellow_americans) == BASE
    assert command(server, TINY, "load").json()["state"] == ModelState.RESIDENT
    assert command(server, TINY, "unload").json()["state"] == ModelState.ON_DISK
    assert command(server, TINY, "unload").json()["state"] == ModelState.ON_DISK


@pytest.mark.model
def test_what_is_in_flight_ends_with_its_transcript_before_its_model_is_unloaded(two, jfk: bytes) -> None:
    server = two()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(transcribed_by, server, jfk)
        server.until(lambda: cards(server)[BASE].in_flight == 1)
        assert command(server, BASE, "unload").json()["state"] == ModelState.ON_DISK
        assert asked.done()
        assert asked.result() == BASE


@pytest.mark.model
def test_a_model_that_nobody_uses_is_unloaded_after_a_while_but_not_the_default(two) -> None:
    server = two(model_ttl_seconds=0.2)
    command(server, TINY, "load")
    server.until(lambda: state(server, TINY) is ModelState.ON_DISK)
    assert state(server, BASE) is ModelState.RESIDENT
    make_default(server, TINY)
    server.until(lambda: state(server, BASE) is ModelState.ON_DISK)
    assert state(server, TINY) is ModelState.RESIDENT


@pytest.mark.model
def test_with_one_place_another_model_can_only_take_it_as_the_default(two, fellow_americans: bytes) -> None:
    server = two(max_models=1)
    refused = server.post("a.wav", fellow_americans, model=TINY)
    assert refusal(refused) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    assert make_default(server, TINY).json()["default"]
    server.until(lambda: state(server, BASE) is ModelState.ON_DISK)
    assert transcribed_by(server, fellow_americans) == TINY
    assert len(server.workers("recogniser_process")) == 1


@pytest.mark.model
@pytest.mark.parametrize(("places", "requests"), [(1, 30), (2, 200)])
def test_switching_the_default_under_load_fails_no_request(
    two, fellow_americans: bytes, places: int, requests: int
) -> None:
    server = two(max_models=places, limit_least=400, limit_most=400, max_uploads=400)
    client = httpx2.Client(base_url=server.client.base_url, timeout=300, limits=httpx2.Limits(max_connections=None))
    answered = threading.Condition()
    finished = threading.Event()
    switches: list[int] = []
    models: Counter[str] = Counter()

    def switch() -> None:
        """Each new default answers something before the next takes over: the old one comes back without loading."""
        for model in cycle((TINY, BASE)):
            with answered:
                before = models[model]
            switches.append(make_default(server, model).status_code)
            with answered:
                answered.wait_for(lambda: models[model] > before or finished.is_set(), timeout=300)  # noqa: B023
            if finished.is_set():
                return

    def ask(_: int) -> None:
        """Once, and again until there has been something to switch under."""
        fields = {"language": "en", "response_format": "verbose_json"}
        for _ in range(100):
            answer = client.post("/v1/audio/transcriptions", files={"file": fellow_americans}, data=fields)
            assert answer.status_code == 200, answer.text
            assert "americans" in answer.json()["text"].lower()
            with answered:
                models[answer.json()["model"]] += 1
                answered.notify_all()
            if len(switches) > 3 and len(models) == 2:
                return

    switching = threading.Thread(target=switch)
    switching.start()
    try:
        with client, ThreadPoolExecutor(requests) as callers:
            list(callers.map(ask, range(requests)))
    finally:
        finished.set()
        with answered:
            answered.notify_all()
        switching.join()
    assert set(models) == {BASE, TINY}
    assert len(switches) > 3
    assert set(switches) == {200}

import base64
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from openai.types.audio import SpeechModel
from starlette.testclient import TestClient

from chammal_contracts.speech import AudioFormat
from chammal_tts.app import create
from chammal_tts.encoders import MEDIA_TYPES
from chammal_tts.routes import MODEL_ALIASES
from chammal_tts.settings import TtsSettings

URL = "/v1/audio/speech"


def ask(client: TestClient, **fields: object) -> tuple[int, dict[str, object]]:
    answer = client.post(URL, json={"input": "안녕하세요.", **fields})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_speech_is_answered_in_every_format(client: TestClient, audio_format: AudioFormat) -> None:
    answer = client.post(URL, json={"input": "안녕하세요. Hello.", "response_format": audio_format})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPES[audio_format]
    assert len(answer.content) > 500


def test_pcm_has_the_length_of_the_sentences_and_their_pauses(client: TestClient) -> None:
    answer = client.post(URL, json={"input": "가나다. 라마바.", "response_format": "pcm"})
    assert len(answer.content) / 2 / 24_000 == pytest.approx(2 * (0.04 + 0.28), abs=0.001)


def test_speed_reaches_the_engine_and_the_pauses(client: TestClient, engine: Any) -> None:
    answer = client.post(URL, json={"input": "가나다.", "response_format": "pcm", "speed": 2.0})
    assert engine.made[0].speed == 2.0
    assert len(answer.content) / 2 / 24_000 == pytest.approx((0.04 + 0.28) / 2, abs=0.001)


def test_an_emotion_and_instructions_change_how_it_is_said_on_top_of_the_speed_asked_for(
    client: TestClient, engine: Any
) -> None:
    def said(**fields: object) -> tuple[float, NDArray[np.int16]]:
        answer = client.post(URL, json={"input": "가나다라마바사아자차카타파하.", "response_format": "pcm", **fields})
        return engine.made[-1].speed, np.frombuffer(answer.content, "<i2")

    _, plain = said()
    speed, sad = said(emotion="sad", speed=2.0)
    assert speed == pytest.approx(2 * 0.88)
    assert sad.size == pytest.approx(plain.size / speed, rel=0.01), "a lower pitch lasts no longer"
    assert np.abs(sad).max() == pytest.approx(0.75 * np.abs(plain).max(), rel=0.05)
    assert said(instructions="천천히 말해 주세요.")[0] == pytest.approx(0.85)
    assert np.abs(said(energy=0.5)[1]).max() == pytest.approx(0.5 * np.abs(plain).max(), rel=0.02)


def test_an_alias_takes_a_voice_for_each_language(client: TestClient, engine: Any) -> None:
    client.post(URL, json={"input": "안녕. Hello there.", "voice": "echo"})
    assert [u.voice for u in engine.made] == ["jm_kumo", "am_echo"]


def test_events_carry_the_audio_and_end_with_usage(client: TestClient) -> None:
    answer = client.post(URL, json={"input": "가나다. 라마바.", "response_format": "pcm", "stream_format": "sse"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert [e["type"] for e in events] == ["speech.audio.delta", "speech.audio.delta", "speech.audio.done"]
    assert len(base64.b64decode(events[0]["audio"])) == pytest.approx(2 * 24_000 * 0.32, abs=2)
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


def test_a_failure_in_the_middle_is_an_event(client: TestClient, engine: Any) -> None:
    engine.fails_on = "라마바"
    answer = client.post(URL, json={"input": "가나다. 라마바.", "stream_format": "sse"})
    last = json.loads(answer.text.split("\n\n")[-2].removeprefix("data: "))
    assert (last["type"], last["error"]["code"]) == ("error", "internal_error")


def test_a_failure_before_any_audio_is_a_problem(client: TestClient, engine: Any) -> None:
    engine.fails_on = "가나다"
    assert ask(client, input="가나다.")[0] == 500
    engine.fails_on = None
    assert client.post(URL, json={"input": "가나다."}).status_code == 200, "the slot came back"


@pytest.mark.parametrize("model", ["kokoro", *MODEL_ALIASES])
def test_models_have_openais_names(client: TestClient, model: str) -> None:
    assert client.post(URL, json={"input": "가", "model": model}).status_code == 200
    assert model in {card["id"] for card in client.get("/v1/models").json()["data"]}


def test_aliases_are_openais() -> None:
    assert set(MODEL_ALIASES) <= set(get_args(SpeechModel))


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found"),
        ({"voice": "nobody"}, 404, "voice_not_found"),
        ({"input": "가" * 4097}, 422, "input_too_long"),
        ({"input": ""}, 422, "invalid_request"),
        ({"input": "🙂"}, 422, "input_unspeakable"),
        ({"input": "..."}, 422, "input_unspeakable"),
        ({"language": "fr"}, 422, "language_unknown"),
        ({"response_format": "wma"}, 422, "invalid_request"),
        ({"speed": 9}, 422, "invalid_request"),
        ({"pitch": 12}, 422, "invalid_request"),
        ({"energy": 0}, 422, "invalid_request"),
        ({"emotion": "bored"}, 422, "invalid_request"),
        ({"stream_format": "tape"}, 422, "invalid_request"),
    ],
)
def test_a_bad_request_is_told_why(client: TestClient, fields: dict[str, object], status: int, code: str) -> None:
    answered, body = ask(client, **fields)
    assert (answered, body["code"]) == (status, code)


def test_a_body_beyond_any_input_is_not_read(client: TestClient) -> None:
    answered, body = ask(client, input="가" * 1_000_000)
    assert (answered, body["code"]) == (413, "upload_too_large")


def test_the_longest_input_fits_even_when_it_is_escaped(client: TestClient) -> None:
    answered = client.post(
        URL, headers={"Content-Type": "application/json"}, content=b'{"input": "a' + b"\\ud83d\\ude42" * 4095 + b'"}'
    )
    assert answered.status_code == 200


def test_an_unknown_voice_is_told_the_voices_there_are(client: TestClient) -> None:
    _, body = ask(client, voice="nobody")
    assert body["voices"] == [v["id"] for v in client.get("/v1/audio/voices").json()["data"]]
    assert "af_heart" in body["voices"]


def test_without_the_model_it_serves_and_says_what_is_missing(tmp_path: Path) -> None:
    manifest = Path(__file__).parents[3] / "models" / "manifest.toml"
    settings = TtsSettings(models_dir=tmp_path, models_manifest=manifest, model="kokoro-hub", model_poll_seconds=60)
    with TestClient(create(settings)) as client:
        while "loaded" in (reason := client.get("/ready").json()["checks"][0]["reason"]):
            pass
        ready = client.get("/ready")
        assert ready.status_code == 503
        assert "not here" in reason
        assert ready.json()["checks"][0]["hint"].startswith("chammal models fetch")
        answer = client.post(URL, json={"input": "hi"})
        assert (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")
        assert answer.headers["Retry-After"]
        assert client.get("/health").status_code == 200


def test_requests_are_counted_by_outcome(client: TestClient) -> None:
    def count(outcome: str) -> float:
        name = f'chammal_tts_requests_total{{outcome="{outcome}"}} '
        return float(client.get("/metrics").text.split(name)[1].split("\n")[0])

    ok, refused = count("ok"), count("refused")
    client.post(URL, json={"input": "가"})
    client.post(URL, json={"input": "🙂"})
    assert (count("ok"), count("refused")) == (ok + 1, refused + 1)

"""Around a session that only notes what it is given; then with the real weights: chammal models fetch kokoro."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chammal_tts.backends import load_kokoro
from chammal_tts.engine import Engine, Stop, Stopped, Utterance
from chammal_tts.kokoro import Kokoro
from chammal_tts.script import Language
from chammal_tts.settings import TtsSettings

model = pytest.mark.model


class NotingSession:
    """Answers half a second of silence, a tone and silence again."""

    tokens_name = "tokens"

    def __init__(self, *_: object, **__: object) -> None:
        self.given: list[dict[str, Any]] = []

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in (self.tokens_name, "style", "speed")]

    def run(self, _: None, inputs: dict[str, Any], __: object) -> list[Any]:
        self.given.append(inputs)
        tone = np.sin(np.arange(12_000) / 10)
        return [np.concatenate((np.zeros(12_000), tone, np.zeros(12_000)))[None].astype(np.float32)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "voices").mkdir()
    np.arange(510 * 256, dtype=np.float32).tofile(tmp_path / "voices" / "af_heart.bin")
    return tmp_path


@pytest.mark.parametrize("tokens_name", ["tokens", "input_ids"])
def test_either_export_of_the_model_is_driven(monkeypatch: pytest.MonkeyPatch, folder: Path, tokens_name: str) -> None:
    monkeypatch.setattr(NotingSession, "tokens_name", tokens_name)
    session = NotingSession()
    monkeypatch.setattr("chammal_tts.kokoro.ort.InferenceSession", lambda *_, **__: session)
    kokoro = Kokoro(folder, threads=1)
    speech = kokoro.speak(Utterance("가나", Language.KO, "af_heart", 1.5), Stop())
    (given,) = session.given
    assert given[tokens_name].tolist() == [[0, 53, 43, 56, 43, 0]]
    assert given["style"][0, 0] == 4 * 256
    assert given["speed"][0] == pytest.approx(1.5 * 0.9), "Korean is spoken slower"
    assert speech.units == 4
    assert speech.samples.size / kokoro.sample_rate == pytest.approx(0.5, abs=0.07), "silence around it is cut"


def test_a_stop_before_the_first_run_runs_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    session = NotingSession()
    monkeypatch.setattr("chammal_tts.kokoro.ort.InferenceSession", lambda *_, **__: session)
    stop = Stop()
    stop.request()
    with pytest.raises(Stopped):
        Kokoro(folder, threads=1).speak(Utterance("가", Language.KO, "af_heart", 1.0), stop)
    assert session.given == []


@pytest.fixture(scope="module")
def kokoro() -> Engine:
    return load_kokoro(TtsSettings())


@model
@pytest.mark.parametrize(
    ("text", "language", "voice"),
    [("안녕하세요, 반갑습니다.", Language.KO, "jf_alpha"), ("Hello, nice to meet you.", Language.EN, "af_heart")],
)
def test_it_speaks(kokoro: Engine, text: str, language: Language, voice: str) -> None:
    speech = kokoro.speak(Utterance(text, language, voice, 1.0), Stop())
    assert 1.0 < speech.samples.size / kokoro.sample_rate < 5.0
    assert 0.05 < np.abs(speech.samples).max() <= 1.5


@model
def test_speed_changes_the_length(kokoro: Engine) -> None:
    slow, fast = (
        kokoro.speak(Utterance("One two three four.", Language.EN, "af_heart", speed), Stop()).samples.size
        for speed in (0.5, 2.0)
    )
    assert slow > 2 * fast


@model
def test_a_sentence_beyond_the_models_limit_is_spoken_in_parts(kokoro: Engine) -> None:
    speech = kokoro.speak(Utterance("internationalisation " * 40, Language.EN, "af_heart", 4.0), Stop())
    assert speech.units > 510
    assert speech.samples.size > kokoro.sample_rate


@model
def test_a_stop_ends_a_run_that_has_begun(kokoro: Engine) -> None:
    stop = Stop()
    threading.Timer(0.2, stop.request).start()
    with pytest.raises(Stopped):
        kokoro.speak(
            Utterance(
                "This is a rather long sentence, and nobody waits for its end. " * 5, Language.EN, "af_heart", 0.5
            ),
            stop,
        )

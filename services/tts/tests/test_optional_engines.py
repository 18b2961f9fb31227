"""Supertonic and Piper behind stand-ins with the interfaces of their packages: supertonic 1.3.1, piper-tts 1.8.0."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from chammal_tts.app import create
from chammal_tts.engine import Stop, Stopped, Utterance
from chammal_tts.script import Language
from chammal_tts.settings import EngineName, TtsSettings

Stub = Callable[..., Any]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """Puts a package in place and imports the module that drives it, anew."""

    def put(package: str, module: str, **members: object) -> Any:
        made = ModuleType(package)
        made.__dict__.update(members)
        monkeypatch.setitem(sys.modules, package, made)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return importlib.import_module(module)

    yield put
    for module in ("chammal_tts.piper_engine", "chammal_tts.supertonic_engine"):
        sys.modules.pop(module, None)


class FakeTts:
    voice_style_names = ("F1", "F2", "M1", "M2")
    sample_rate = 44_100

    def __init__(self, **told: object) -> None:
        self.told = told
        self.asked: list[dict[str, Any]] = []

    def get_voice_style(self, name: str) -> str:
        return f"style of {name}"

    def synthesize(self, text: str, **asked: object) -> tuple[Any, Any]:
        self.asked.append({"text": text, **asked})
        return np.full((1, 44_100), 0.1, np.float32), np.array([1.0])


def test_supertonic_is_asked_in_the_language_with_a_style_and_never_downloads(stub: Stub) -> None:
    module = stub("supertonic", "chammal_tts.supertonic_engine", TTS=FakeTts)
    engine = module.Supertonic(Path("weights"), 2)
    assert engine._model.told["auto_download"] is False
    speech = engine.speak(Utterance("안녕", Language.KO, "F2", 1.5), Stop())
    assert speech.samples.shape == (44_100,)
    assert engine._model.asked == [{"text": "안녕", "voice_style": "style of F2", "speed": 1.5, "lang": "ko"}]
    women, men = {engine.voice(name).korean for name in ("nova", "coral")}, {engine.voice("onyx").english}
    assert women <= {"F1", "F2"}
    assert men <= {"M1", "M2"}
    assert engine.voice("nobody") is None
    stopped = Stop()
    stopped.request()
    with pytest.raises(Stopped):
        engine.speak(Utterance("안녕", Language.KO, "F2", 1.0), stopped)


@dataclass
class FakeConfig:
    length_scale: float
    normalize_audio: bool


class FakePiper:
    def __init__(self) -> None:
        self.asked: list[tuple[str, FakeConfig]] = []

    @classmethod
    def load(cls, path: Path) -> "FakePiper":
        return cls()

    def synthesize(self, text: str, config: FakeConfig) -> Iterator[SimpleNamespace]:
        self.asked.append((text, config))
        for _ in range(2):
            yield SimpleNamespace(sample_rate=22_050, audio_float_array=np.full(11_025, 0.1, np.float32))


def test_piper_speaks_with_the_voices_it_was_given_and_claims_no_other_language(stub: Stub) -> None:
    module = stub("piper", "chammal_tts.piper_engine", PiperVoice=FakePiper, SynthesisConfig=FakeConfig)
    files = [Path("en_US-lessac-medium.onnx"), Path("en_GB-alan-low.onnx"), Path("de_DE-thorsten-low.onnx")]
    engine = module.Piper(files)
    assert engine.voices == {"en_US-lessac-medium", "en_GB-alan-low"}
    assert engine.capabilities.languages == {Language.EN}
    assert engine.voice("alloy").english == "en_US-lessac-medium"
    assert engine.voice("en_GB-alan-low").english == "en_GB-alan-low"
    speech = engine.speak(Utterance("Hello.", Language.EN, "en_US-lessac-medium", 2.0), Stop())
    assert speech.samples.size == pytest.approx(24_000, abs=10)
    assert engine._models["en_US-lessac-medium"].asked == [("Hello.", FakeConfig(0.5, normalize_audio=False))]
    with pytest.raises(module.NoVoice):
        module.Piper(files[2:])


@pytest.mark.parametrize(
    ("name", "hint"), [("supertonic", "pip install supertonic"), ("piper", "pip install piper-tts")]
)
def test_one_that_is_not_installed_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, settings: TtsSettings, name: str, hint: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    told = settings.model_copy(update={"engines": (EngineName(name),), "supertonic_dir": Path("weights")})
    with TestClient(create(told)) as client:
        while "loaded" in (check := client.get("/ready").json()["checks"][0])["reason"]:
            pass
        assert "not installed" in check["reason"]
        assert check["hint"] == hint
        answer = client.post("/v1/audio/speech", json={"input": "Yes."})
    assert (answer.status_code, answer.json()["code"], answer.json()["command"]) == (503, "model_unavailable", hint)

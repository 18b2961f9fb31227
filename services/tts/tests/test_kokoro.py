"""With the real weights: chammal models fetch kokoro."""

import threading

import numpy as np
import pytest

from chammal_tts.app import load_kokoro
from chammal_tts.engine import Engine, Stop, Stopped, Utterance
from chammal_tts.script import Language
from chammal_tts.settings import TtsSettings

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def kokoro() -> Engine:
    return load_kokoro(TtsSettings())


@pytest.mark.parametrize(
    ("text", "language", "voice"),
    [("안녕하세요, 반갑습니다.", Language.KO, "jf_alpha"), ("Hello, nice to meet you.", Language.EN, "af_heart")],
)
def test_it_speaks(kokoro: Engine, text: str, language: Language, voice: str) -> None:
    speech = kokoro.speak(Utterance(text, language, voice, 1.0), Stop())
    assert 1.0 < speech.samples.size / kokoro.sample_rate < 5.0
    assert 0.05 < np.abs(speech.samples).max() <= 1.5


def test_speed_changes_the_length(kokoro: Engine) -> None:
    slow, fast = (
        kokoro.speak(Utterance("One two three four.", Language.EN, "af_heart", speed), Stop()).samples.size
        for speed in (0.5, 2.0)
    )
    assert slow > 2 * fast


def test_a_sentence_beyond_the_models_limit_is_spoken_in_parts(kokoro: Engine) -> None:
    speech = kokoro.speak(Utterance("internationalisation " * 40, Language.EN, "af_heart", 4.0), Stop())
    assert speech.units > 510
    assert speech.samples.size > kokoro.sample_rate


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

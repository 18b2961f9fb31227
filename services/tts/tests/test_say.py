"""With a stand-in for the command of macOS, which notes what it is asked and writes a real AIFF."""

import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from chammal_tts.engine import Stop, Stopped, Utterance
from chammal_tts.say import Say, SayFailed
from chammal_tts.script import Language
from chammal_tts.settings import EngineName, TtsSettings

STAND_IN = """#!{python}
import json, sys
import numpy as np, soundfile
folder = {folder!r}
arguments = sys.argv[1:]
if arguments == ["-v", "?"]:
    print(open(folder + "/voices").read())
    sys.exit()
text = sys.stdin.read()
json.dump([arguments, text], open(folder + "/asked", "w"))
if text == "forever":
    import time
    open(folder + "/begun", "w").close()
    time.sleep(60)
if text == "wrong":
    sys.exit("It does not speak today.")
rate = int(arguments[arguments.index("-r") + 1])
tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(22050 * 175 // rate) / 22050)
soundfile.write(arguments[arguments.index("-o") + 1], tone, 22050, format="AIFF", subtype="PCM_16")
"""
VOICES = """Albert              en_US    # Hello! My name is Albert.
Amélie              fr_CA    # Bonjour! Je m'appelle Amélie.
Eddy (영어(미국))     en_US    # Hello! My name is Eddy.
Samantha            en_US    # Hello! My name is Samantha.
Yuna                ko_KR    # 안녕하세요. 제 이름은 유나입니다."""


@pytest.fixture
def command(tmp_path: Path) -> Path:
    path = tmp_path / "say"
    path.write_text(STAND_IN.format(python=sys.executable, folder=str(tmp_path)))
    path.chmod(0o755)
    (tmp_path / "voices").write_text(VOICES)
    return path


def asked(command: Path) -> tuple[list[str], str]:
    arguments, text = json.loads((command.parent / "asked").read_text())
    return arguments, text


def utterance(text: str, voice: str = "Yuna", speed: float = 1.0) -> Utterance:
    return Utterance(text, Language.KO, voice, speed)


def test_its_aiff_is_read_at_the_rate_of_the_house(command: Path) -> None:
    say = Say(str(command))
    speech = say.speak(utterance("안녕하세요"), Stop())
    assert (say.sample_rate, speech.samples.dtype) == (24_000, np.float32)
    assert speech.samples.size == pytest.approx(24_000, abs=30)
    arguments, text = asked(command)
    assert arguments[:4] == ["-v", "Yuna", "-r", "175"]
    assert text == "안녕하세요"


def test_the_text_is_never_an_argument_nor_a_command_to_the_synthesiser(command: Path) -> None:
    Say(str(command)).speak(utterance("-o /etc/passwd [[slnc 90000]] 안녕"), Stop())
    arguments, text = asked(command)
    assert not any("passwd" in argument for argument in arguments)
    assert "[[" not in text
    assert arguments[-2:] == ["-f", "-"]


def test_its_rate_is_its_own(command: Path) -> None:
    speech = Say(str(command)).speak(utterance("안녕하세요", speed=2.0), Stop())
    assert speech.samples.size == pytest.approx(12_000, abs=100)


def test_every_name_of_openais_has_a_voice_for_each_language_and_other_languages_are_not_offered(command: Path) -> None:
    say = Say(str(command))
    assert say.voices == {"Albert", "Eddy (영어(미국))", "Samantha", "Yuna"}
    alloy = say.voice("alloy")
    assert alloy is not None
    assert (alloy.speaking(Language.EN), alloy.speaking(Language.KO)) == ("Samantha", "Yuna")
    albert = say.voice("Albert")
    assert albert is not None
    assert (albert.speaking(Language.EN), albert.speaking(Language.KO)) == ("Albert", "Yuna")
    assert say.voice("Amélie") is None
    assert say.capabilities.languages == set(Language)


def test_without_a_korean_voice_it_does_not_claim_korean(command: Path) -> None:
    (command.parent / "voices").write_text(VOICES.split("Yuna")[0])
    assert Say(str(command)).capabilities.languages == {Language.EN}


def test_what_it_complains_of_is_the_error(command: Path) -> None:
    with pytest.raises(SayFailed, match="does not speak today"):
        Say(str(command)).speak(utterance("wrong"), Stop())


def test_a_stop_ends_the_command(command: Path) -> None:
    stop = Stop()

    def request() -> None:
        while not (command.parent / "begun").exists():
            pass
        stop.request()

    thread = threading.Thread(target=request)
    thread.start()
    with pytest.raises(Stopped):
        Say(str(command)).speak(utterance("forever"), stop)
    thread.join(20)


def test_where_there_is_no_such_command_it_says_so() -> None:
    with pytest.raises(SayFailed, match="comes with macOS"):
        Say("/nowhere/say")


def test_it_is_chosen_by_name() -> None:
    assert TtsSettings(engines="say,kokoro").engines == (EngineName.SAY, EngineName.KOKORO)  # type: ignore[arg-type]

"""The speech command of macOS, for development on a Mac. The only module that imports soundfile.

It reads the text from its standard input, writes AIFF to a file, and has a voice or more for each language.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile  # type: ignore[import-untyped]

from chammal_tts.engine import Capabilities, Speech, Stop, Stopped, Utterance
from chammal_tts.resample import resampled
from chammal_tts.script import Language
from chammal_tts.shaping import OUTPUT_RATE
from chammal_tts.voices import ALIASES, Voice

WORDS_A_MINUTE = 175
"""Its own rate, as its manual page has it."""
_LEAST, _MOST = 90, 360
"""Words a minute that its voices follow."""
_LISTED = re.compile(r"^(.+?)\s+([a-z]{2,3})[_-][A-Za-z0-9]+\s+#", re.MULTILINE)
_PREFERRED = ("Yuna", "Samantha", "Daniel")
_LIST_SECONDS = 20.0


class SayFailed(Exception):
    """The command ended with an error."""


class Say:
    name = "say"
    sample_rate = OUTPUT_RATE

    def __init__(self, command: str) -> None:
        """Raises SayFailed where there is no such command, or no voice for Korean or English."""
        found = shutil.which(command)
        if found is None:
            raise SayFailed(f"There is no command {command!r} here; it comes with macOS.")
        self._command = found
        listed = subprocess.run([found, "-v", "?"], capture_output=True, timeout=_LIST_SECONDS, check=True)
        self._voices = _voices(listed.stdout.decode("utf-8", "replace"))
        self._own = {
            language: _first_choice([name for name, spoken in self._voices.items() if spoken is language])
            for language in set(self._voices.values())
        }
        if not self._own:
            raise SayFailed("It has no voice for Korean or English; voices are added in the system's settings.")
        self.voices = frozenset(self._voices)
        self.capabilities = Capabilities(
            languages=frozenset(self._own), speeds=(_LEAST / WORDS_A_MINUTE, _MOST / WORDS_A_MINUTE)
        )

    def voice(self, name: str) -> Voice | None:
        """A voice of another language than its own keeps to that one: macOS reads Hangul with no English voice."""
        if name not in self._voices and name.lower() not in ALIASES:
            return None
        spoken = {language: name if self._voices.get(name) is language else own for language, own in self._own.items()}
        some = next(iter(spoken.values()))
        return Voice(name, spoken.get(Language.EN, some), spoken.get(Language.KO, some))

    def speak(self, utterance: Utterance, stop: Stop) -> Speech:
        rate = round(WORDS_A_MINUTE * utterance.speed)
        with TemporaryDirectory(prefix="chammal-say-") as folder:
            path = Path(folder) / "speech.aiff"
            asked = [self._command, "-v", utterance.voice, "-r", str(rate), "-o", str(path), "-f", "-"]
            _run(asked, _plain(utterance.text), stop)
            samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
        return Speech(resampled(mono, sample_rate, OUTPUT_RATE), len(utterance.text))


def _run(command: list[str], text: str, stop: Stop) -> None:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            with stop.interrupts(process.kill):
                _, complaint = process.communicate(text.encode())
        except BaseException:
            process.kill()
            raise
    if stop.requested:
        raise Stopped
    if process.returncode:
        raise SayFailed(f"It ended with {process.returncode}: {complaint.decode('utf-8', 'replace').strip()[:200]}")


def _plain(text: str) -> str:
    """Double brackets are commands to its synthesiser."""
    return text.replace("[[", " ").replace("]]", " ")


def _voices(listed: str) -> Mapping[str, Language]:
    """Lines such as `Yuna                ko_KR    # 안녕하세요. 제 이름은 유나입니다.`"""
    known = {language.value: language for language in Language}
    return {name: known[code] for name, code in _LISTED.findall(listed) if code in known}


def _first_choice(names: list[str]) -> str:
    return next((name for name in _PREFERRED if name in names), names[0])

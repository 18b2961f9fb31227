"""Other people's servers, each in an environment of its own under .bench/, installed from PyPI when it is not there."""

import json
import subprocess
import sys
from pathlib import Path

from bench.stt import ggml
from bench.stt.audio import Clip
from bench.stt.run import report
from bench.stt.sides import ROOT, HttpSide, SideMissing, WyomingSide

HOME = ROOT / ".bench"
INSTALL_SECONDS = 900


def environment(name: str, release: str, extra: str = "") -> Path:
    """The bin folder of a virtual environment that has this release, with its `[extra]`. Raises SideMissing."""
    home = HOME / f"{name}-{release}"
    done = home / ".installed"
    if not done.exists():
        report(f"installing {name} {release} into {home.relative_to(ROOT)}")
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in ([sys.executable, "-m", "venv", str(home)], [*pip, f"{name}{extra}=={release}"]):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise SideMissing(f"{name} {release}: not installed within {INSTALL_SECONDS} s") from error
            except subprocess.CalledProcessError as error:
                last = error.stderr.strip().rpartition("\n")[2]
                raise SideMissing(f"{name} {release} does not install: {last[:300]}") from error
        done.touch()
    return home / "bin"


class FasterWhisperServer(HttpSide):
    name = "faster-whisper-server 0.0.3"
    note = "over HTTP; int8 and threads by its configuration file"

    def start(self) -> None:
        self._bin = environment("faster-whisper-server", "0.0.3")
        options = {"device": "cpu", "compute_type": "int8", "cpu_threads": self.threads}
        models = [{"name": "base", "path": str(self.model), "model_options": options}]
        self._configuration = HOME / "faster-whisper-server.yaml"
        self._configuration.write_text(json.dumps({"models": models}), encoding="utf-8")
        super().start()

    def command(self) -> list[str]:
        command = [str(self._bin / "faster-whisper-server"), "--config", str(self._configuration)]
        return [*command, "--host", "127.0.0.1", "--port", str(self.port)]

    def fields(self, clip: Clip) -> dict[str, str]:
        return super().fields(clip) | {"model_name": "base"}


class WhisperCpp(HttpSide):
    name = "whisper.cpp (pywhispercpp 1.5.1)"
    note = "over HTTP behind a small wrapper; q8_0 made from the same float16 file; gets samples instead of files"
    health = "/"

    def start(self) -> None:
        self._bin = environment("pywhispercpp", "1.5.1")
        self._weights = HOME / "ggml-base-q8_0.bin"
        if not self._weights.exists():
            report(f"converting {self.model} for whisper.cpp")
            ggml.convert(self.model, self._weights)
        super().start()

    def command(self) -> list[str]:
        script = Path(__file__).with_name("whispercpp_server.py")
        return [str(self._bin / "python"), str(script), str(self._weights), str(self.threads), str(self.port)]

    def transcribe(self, clip: Clip) -> str:
        answer = self.client.post("/", params={"language": clip.language}, content=clip.samples().tobytes())
        answer.raise_for_status()
        return answer.text


class WyomingFasterWhisper(WyomingSide):
    name = "wyoming-faster-whisper 3.8.1"
    note = "Wyoming protocol over TCP; int8 and threads by its options; gets samples instead of files"

    def command(self) -> list[str]:
        scripts = environment("wyoming-faster-whisper", "3.8.1")
        command = [str(scripts / "wyoming-faster-whisper"), "--uri", f"tcp://127.0.0.1:{self.port}"]
        command += ["--model", str(self.model), "--data-dir", str(HOME), "--local-files-only"]
        command += ["--stt-library", "faster-whisper", "--compute-type", "int8"]
        return [
            *command,
            "--stt-library",
            "faster-whisper",
            "--compute-type",
            "int8",
            "--cpu-threads",
            str(self.threads),
        ]

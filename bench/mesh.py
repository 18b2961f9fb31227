"""The mesh of the benches that load it: api, stt, tts and llm-gateway as `chammal up` starts them, each a process that
can be ended and started, and a stub in the place of the language model. A worker is one more api beside the first.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.stt.machine import free_port

SLOTS, ANSWER_SECONDS = 4, 0.25
"""Of the stub: 16 answers a second."""
READY_SECONDS = 120.0
CLIP_TEXT = "안녕하세요, 보험 상담원입니다. 무엇을 도와드릴까요?"
PROGRAMS = {
    "model": ("bench.model_stub", None),
    "stt": ("chammal_stt", "/ready"),
    "tts": ("chammal_tts", "/ready"),
    "llm-gateway": ("chammal_llm_gateway", "/ready"),
    "api": ("chammal_api", "/ready"),
    "worker": ("chammal_api", "/ready"),
}


class Mesh:
    def __init__(
        self, folder: Path, settings: dict[str, str], *, slots: int = SLOTS, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        """`slots` and `answer_seconds` are those of the language model."""
        self._model = [str(slots), str(answer_seconds)]
        self._ports = {name: free_port() for name in PROGRAMS}
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "CHAMMAL_STT_PORT": str(self._ports["stt"]),
            "CHAMMAL_TTS_PORT": str(self._ports["tts"]),
            "CHAMMAL_LLM_PORT": str(self._ports["llm-gateway"]),
            "CHAMMAL_LLM_VLLM_URL": self.url("model"),
            "CHAMMAL_API_PORT": str(self._ports["api"]),
            "CHAMMAL_API_STT_URL": self.url("stt"),
            "CHAMMAL_API_TTS_URL": self.url("tts"),
            "CHAMMAL_API_LLM_URL": self.url("llm-gateway"),
            **settings,
        }

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def start(self, *names: str) -> None:
        """And waits until they are ready."""
        for name in names:
            self.launch(name)
        for name in names:
            path = PROGRAMS[name][1]
            if path is not None:
                self._wait(name, path)

    def launch(self, name: str) -> None:
        """Does not wait."""
        arguments = [str(self._ports[name]), *self._model] if name == "model" else []
        own = {"CHAMMAL_API_PORT": str(self._ports[name])} if name == "worker" else {}
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", PROGRAMS[name][0], *arguments],
                env=self._environment | own,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """What the service printed, all its processes one after another."""
        return self._folder / f"{name}.log"

    def alive(self, name: str) -> bool:
        return self._processes[name].poll() is None

    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values()]

    def wait(self, name: str, told: str) -> None:
        """Until the service's /ready says so."""
        give_up = time.monotonic() + READY_SECONDS
        while told not in self._ready(name):
            if time.monotonic() > give_up:
                raise RuntimeError(f"{name} never said {told}")
            time.sleep(0.3)

    def _ready(self, name: str) -> str:
        try:
            return self._get(name, "/ready").decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def kill(self, name: str) -> None:
        """At once, with all its workers."""
        process = self._processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def metric(self, name: str, series: str) -> float:
        """Of a service, as /metrics has it; 0 where there is no such series."""
        for line in self._get(name, "/metrics").decode().splitlines():
            if line.startswith(series) and line[len(series) : len(series) + 1] == " ":
                return float(line.rpartition(" ")[2])
        return 0.0

    def clip(self) -> Path:
        """A recording of a few seconds, spoken by the mesh itself."""
        path = self._folder / "clip.wav"
        path.write_bytes(self.spoken(CLIP_TEXT, "wav"))
        return path

    def spoken(self, text: str, form: str) -> bytes:
        """As the mesh speaks it."""
        body = json.dumps({"input": text, "voice": "alloy", "response_format": form}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url('tts')}/v1/audio/speech", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            audio: bytes = answer.read()
            return audio

    def _get(self, name: str, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url(name)}{path}", timeout=10) as answer:
            told: bytes = answer.read()
            return told

    def _wait(self, name: str, path: str) -> None:
        give_up = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._get(name, path)
            except (urllib.error.URLError, OSError):
                if time.monotonic() > give_up or self._processes[name].poll() is not None:
                    log = self.log(name).read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{name} did not become ready:\n{log}") from None
                time.sleep(0.3)
            else:
                return


@contextlib.contextmanager
def running(folder: Path, settings: dict[str, str] | None = None) -> Iterator[Mesh]:
    mesh = Mesh(folder, settings or {})
    try:
        mesh.start("model", "stt", "tts", "llm-gateway", "api")
        yield mesh
    finally:
        mesh.stop()

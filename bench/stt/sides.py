"""Who transcribes: each side is a process (tree) of its own that is asked in its own way."""

import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import httpx2
from bench.stt.audio import RATE, Clip
from bench.stt.machine import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120

Wire = io.BufferedRWPair


class Side(ABC):
    """`name` in tables; `note` says how it runs."""

    name: str
    note: str

    def __init__(self, model: Path, threads: int) -> None:
        self.model = model
        self.threads = threads
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @abstractmethod
    def start(self) -> None:
        """Returns when it is ready to transcribe. Raises SideMissing."""

    @abstractmethod
    def transcribe(self, clip: Clip) -> str:
        """May be called by many threads at once."""

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class SideMissing(Exception):
    """It cannot run here; says why."""


class FasterWhisper(Side):
    """The library, with its default arguments and the language given."""

    name = "faster-whisper"
    note = "in process, one recording after another; so is BatchedInferencePipeline"

    def __init__(self, model: Path, threads: int, batch: int = 0) -> None:
        super().__init__(model, threads)
        self.batch = batch
        if batch:
            self.name = f"BatchedInferencePipeline, batch {batch}"
        self._turn = threading.Lock()

    def start(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("library.py"))]
        command += [str(self.model), str(self.threads), str(self.batch)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answer()

    def transcribe(self, clip: Clip) -> str:
        with self._turn:
            assert self.process is not None
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps([str(clip.path), clip.language]).encode() + b"\n")
            self.process.stdin.flush()
            return self._answer()

    def _answer(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended")
        return str(json.loads(line))


class Server(Side):
    """Listens on `port` of this machine."""

    def __init__(self, model: Path, threads: int) -> None:
        super().__init__(model, threads)
        self.port = free_port()

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_up(self) -> bool: ...

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        with tempfile.TemporaryFile() as log:
            environment = os.environ | self.environment()
            self.process = subprocess.Popen(self.command(), env=environment, stdout=log, stderr=log, cwd=ROOT)
            give_up = time.monotonic() + START_SECONDS
            while time.monotonic() < give_up and self.process.poll() is None:
                if self.is_up():
                    return
                time.sleep(0.1)
            self.stop()
            log.seek(0)
            last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise SideMissing(f"{self.name} did not start: {last[-300:]}")


class HttpSide(Server):
    """Speaks OpenAI's transcription shape."""

    health = "/health"

    def __init__(self, model: Path, threads: int) -> None:
        super().__init__(model, threads)
        self.client = httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            timeout=900,
            trust_env=False,
            limits=httpx2.Limits(max_connections=64),
        )

    def is_up(self) -> bool:
        try:
            return self.client.get(self.health).status_code == 200
        except httpx2.TransportError:
            return False

    def fields(self, clip: Clip) -> dict[str, str]:
        return {"language": clip.language}

    def transcribe(self, clip: Clip) -> str:
        return str(self.post(clip, self.fields(clip)).json()["text"])

    def post(self, clip: Clip, fields: dict[str, str]) -> httpx2.Response:
        upload = {"file": (clip.path.name, clip.path.read_bytes())}
        answer = self.client.post("/v1/audio/transcriptions", files=upload, data=fields)
        answer.raise_for_status()
        return answer

    def stop(self) -> None:
        self.client.close()
        super().stop()


class Chammal(HttpSide):
    """This service as it is installed."""

    name = "Chammal stt"
    note = "over HTTP, default settings"
    health = "/ready"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "chammal_stt"]

    def environment(self) -> dict[str, str]:
        return {
            "CHAMMAL_STT_PORT": str(self.port),
            "CHAMMAL_STT_MODEL": self.model.name,
            "CHAMMAL_STT_LOG_LEVEL": "WARNING",
            "CHAMMAL_MODELS_DIR": str(self.model.parent),
            "CHAMMAL_MODELS_MANIFEST": str(ROOT / "models" / "manifest.toml"),
        }

    def split(self, clip: Clip) -> dict[str, Any]:
        """verbose_json of each channel on its own."""
        fields = self.fields(clip) | {"channels": "split", "response_format": "verbose_json"}
        answer: dict[str, Any] = self.post(clip, fields).json()
        return answer


class WyomingSide(Server):
    """Speaks the Wyoming protocol: JSON lines and payloads over TCP, a connection a request."""

    def is_up(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def transcribe(self, clip: Clip) -> str:
        sound = {"rate": RATE, "width": 2, "channels": 1}
        payload = clip.samples().tobytes()
        with socket.create_connection(("127.0.0.1", self.port), 900) as connection, connection.makefile("rwb") as wire:
            _send(wire, "transcribe", {"language": clip.language})
            _send(wire, "audio-start", sound)
            for first in range(0, len(payload), RATE * 2):
                _send(wire, "audio-chunk", sound, payload[first : first + RATE * 2])
            _send(wire, "audio-stop", {})
            wire.flush()
            while True:
                kind, data = _receive(wire)
                if kind == "transcript":
                    return str(data["text"])


def _send(wire: Wire, kind: str, data: dict[str, Any], payload: bytes = b"") -> None:
    header = {"type": kind, "data": data} | ({"payload_length": len(payload)} if payload else {})
    wire.write(json.dumps(header).encode() + b"\n" + payload)


def _receive(wire: Wire) -> tuple[str, dict[str, Any]]:
    line = wire.readline()
    if not line:
        raise ConnectionError("the Wyoming server hung up")
    header = json.loads(line)
    data: dict[str, Any] = header.get("data") or {}
    if header.get("data_length"):
        data |= json.loads(wire.read(header["data_length"]))
    if header.get("payload_length"):
        wire.read(header["payload_length"])
    return str(header["type"]), data

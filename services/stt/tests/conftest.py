import os
import socket
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import httpx2
import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def audio() -> Path:
    return Path(os.environ.get("CHAMMAL_TEST_AUDIO", ROOT.parent / "shared" / "audio"))


@pytest.fixture(scope="session")
def models_dir() -> Path:
    folder = Path(os.environ.get("CHAMMAL_MODELS_DIR", ROOT / "models")).absolute()
    if not (folder / "whisper-base" / "model.bin").exists():
        # without weights the service is untested, which CI must not pass over
        (pytest.fail if "CI" in os.environ else pytest.skip)(
            "whisper-base is not here: chammal models fetch whisper-base"
        )
    return folder


@pytest.fixture(scope="session")
def two_models_dir(models_dir: Path) -> Path:
    if not (models_dir / "whisper-tiny.en" / "model.bin").exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)(
            "whisper-tiny.en is not here: chammal models fetch whisper-tiny.en"
        )
    return models_dir


class Server:
    """The real service in a process of its own."""

    def __init__(self, models: Path, folder: Path, **settings: object) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        named = {"port": port, "models_dir": models, "models_manifest": ROOT / "models" / "manifest.toml"} | settings
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAMMAL_")}
        environment |= {f"CHAMMAL_STT_{name.upper()}": str(value) for name, value in named.items()}
        environment |= {"HF_HUB_CACHE": str(folder / "no-hub-cache"), "STT_TEST_SECRET": "do not inherit"}
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "chammal_stt"], env=environment, stderr=log)
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)
        self.until(lambda: self._status("/health") == 200)

    def post(self, name: str, content: bytes, **fields: str) -> httpx2.Response:
        return self.client.post("/v1/audio/transcriptions", files={"file": (name, content)}, data=fields)

    def ready(self) -> bool:
        return self._status("/ready") == 200

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def metric(self, sample: str) -> float:
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(sample + " "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no {sample} in /metrics")

    def workers(self, module: str) -> list[int]:
        """Process ids of its children that run `module`."""
        listed = subprocess.run(["ps", "-ewwo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
        return [int(pid) for pid, parent, args in rows if int(parent) == self.process.pid and module in args]

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(PATIENCE)

    def _status(self, path: str) -> int | None:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get(path).status_code
        except httpx2.TransportError:
            return None


@pytest.fixture(scope="session")
def bare_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without a model; media is decoded all the same."""
    folder = tmp_path_factory.mktemp("bare")
    server = Server(folder, folder, max_audio_seconds=600, max_upload_bytes=3_000_000)
    yield server
    server.close()


@pytest.fixture(scope="session")
def server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(models_dir, tmp_path_factory.mktemp("full"), workers=1)
    server.until(server.ready)
    yield server
    server.close()


@pytest.fixture(scope="session")
def start_server() -> type[Server]:
    return Server


class Recordings:
    """The same second or so of sound in many wrappers, made with PyAV."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sound(self, seconds: float, rate: int = 16_000) -> npt.NDArray[np.float32]:
        return (np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 220 / rate) * 0.2).astype(np.float32)

    def wav(self, samples: npt.NDArray[np.float32], rate: int = 16_000) -> bytes:
        path = self.folder / "made.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes((samples * 32_767).astype("<i2").tobytes())
        return path.read_bytes()

    def encode(
        self,
        samples: npt.NDArray[np.float32],
        codec: str,
        container_format: str,
        rate: int = 16_000,
        layout: str = "mono",
    ) -> bytes:
        path = self.folder / f"made.{codec}"
        channels = 1 if layout == "mono" else 2
        frame = av.AudioFrame.from_ndarray(np.vstack([samples] * channels), format="fltp", layout=layout)
        frame.sample_rate = rate
        with av.open(str(path), "w", format=container_format) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.layout = layout
            resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
            queue = av.AudioFifo()
            for resampled in resampler.resample(frame) + resampler.resample(None):
                queue.write(resampled)
            size = stream.codec_context.frame_size or 1024
            while (piece := queue.read(size) or queue.read(size, partial=True)) is not None:
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        return path.read_bytes()

    def silent_flac(self, hours: int) -> bytes:
        path = self.folder / "bomb.flac"
        minute = av.AudioFrame.from_ndarray(np.zeros((1, 16_000 * 60), np.int16), format="s16", layout="mono")
        minute.sample_rate = 16_000
        with av.open(str(path), "w", format="flac") as container:
            stream = container.add_stream("flac", rate=16_000)
            stream.layout, stream.format = "mono", "s16"
            queue = av.AudioFifo()
            for _ in range(hours * 60):
                queue.write(minute)
                while (piece := queue.read(stream.codec_context.frame_size or 4096)) is not None:
                    container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        return path.read_bytes()

    def lying(self, wav: bytes, offset: int, value: int) -> bytes:
        """With the four header bytes at `offset` changed: 24 is the rate, 40 the size of the data."""
        return wav[:offset] + struct.pack("<I", value) + wav[offset + 4 :]


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return Recordings(tmp_path_factory.mktemp("recordings"))

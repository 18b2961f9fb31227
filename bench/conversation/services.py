"""What runs: our services as `chammal up` starts them, the stand-ins, and a bot of pipecat's for each language."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.mesh import Mesh
from bench.stt.machine import free_port
from bench.stt.peers import environment

PIPECAT = "1.14.0"
READY_SECONDS = 180.0


class StandInProcess:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def log(self) -> list[dict[str, Any]]:
        """What was asked since it was read last."""
        with urllib.request.urlopen(f"{self.url}/log", timeout=10) as answer:
            told: list[dict[str, Any]] = json.load(answer)
            return told


@contextmanager
def stand_ins(folder: Path) -> Iterator[StandInProcess]:
    port = free_port()
    with _program([sys.executable, "-m", "bench.conversation.stand_ins", str(port)], folder / "stand_ins.log", {}):
        stages = StandInProcess(port)
        _wait(f"{stages.url}/ready")
        yield stages


@contextmanager
def mesh(folder: Path, stages: StandInProcess, *, real_speech: bool) -> Iterator[Mesh]:
    """The language model is the stand-in; speech is real or its tone."""
    folder.mkdir(exist_ok=True)
    settings = {"CHAMMAL_LLM_VLLM_URL": stages.url, "CHAMMAL_API_DATA_DIR": str(folder / "data")}
    services = ["stt", "llm-gateway", "api"]
    if real_speech:
        services.insert(1, "tts")
    else:
        settings["CHAMMAL_API_TTS_URL"] = stages.url
    made = Mesh(folder, settings)
    try:
        made.start(*services)
        yield made
    finally:
        made.stop()


@contextmanager
def pipecat_bot(folder: Path, model: Path, language: str, llm: str, tts: str) -> Iterator[int]:
    """Its port. Raises SideMissing where it does not install."""
    python = environment("pipecat-ai", PIPECAT, "[websocket,silero,whisper,openai]") / "python"
    port = free_port()
    script = Path(__file__).with_name("pipecat_bot.py")
    command = [str(python), str(script), str(port), str(model), language, llm, tts, "alloy"]
    log = folder / f"pipecat-{language}.log"
    with _program(command, log, {"HF_HUB_OFFLINE": "1"}):
        give_up = time.monotonic() + READY_SECONDS
        while "pipeline is now ready" not in log.read_text(errors="replace"):
            if time.monotonic() > give_up:
                raise RuntimeError(f"pipecat did not become ready:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.3)
        yield port


@contextmanager
def _program(command: list[str], log: Path, environ: dict[str, str]) -> Iterator[None]:
    with log.open("ab") as file:
        process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
        else:
            return

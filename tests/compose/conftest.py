"""The mesh in containers, under a project name and ports of its own, and taken down whatever happens.

Needs a Docker engine, the base images, and a models folder with whisper-base, kokoro and a model for vLLM
(CHAMMAL_TEST_VLLM_MODEL, a folder below CHAMMAL_MODELS_DIR). Where CI is set, what is missing is a failure.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import NoReturn, TypeVar

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
PROJECT = "chammal-test"
START_SECONDS = 600
NEEDED = ("whisper-base/model.bin", "kokoro/model.onnx")
OURS = ("CHAMMAL_", "VLLM_", "COMPOSE_", "HF_", "PROMETHEUS_", "GRAFANA_", "PYTHON_IMAGE", "POSTGRES_")

DRILL = ("-f", "compose.yaml", "-f", "compose/drill.yaml")
"""With the fault proxy between the services."""

_phases: list[tuple[str, float]] = []
_missing: list[str] = []

T = TypeVar("T")


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Its seconds are in the summary."""
    started = time.monotonic()
    try:
        yield
    finally:
        note(name, time.monotonic() - started)


def note(name: str, seconds: float) -> None:
    _phases.append((name, seconds))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, seconds in _phases:
        terminalreporter.write_line(f"compose: {seconds:7.3f} s  {name}")
    for reason in _missing:
        terminalreporter.write_line(f"THE COMPOSE TEST DID NOT RUN: {reason}", red=True, bold=True)


def until(seconds: float, look: Callable[[], T | None], what: str) -> T:
    """Looks twice a second until there is something."""
    end = time.monotonic() + seconds
    pause = Event()
    while (found := look()) is None:
        if time.monotonic() > end:
            pytest.fail(f"within {seconds:.0f} s there was no {what}")
        pause.wait(0.5)
    return found


@dataclass(frozen=True)
class Compose:
    environment: dict[str, str]
    api_port: int
    prometheus_port: int

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def prometheus(self) -> str:
        return f"http://127.0.0.1:{self.prometheus_port}"

    def __call__(self, *arguments: str, seconds: float = START_SECONDS) -> str:
        command = ["docker", "compose", "--ansi", "never", "--env-file", os.devnull, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout

    def image(self, name: str) -> str:
        """The pinned image of that repository."""
        return next(image for image in self("config", "--images").splitlines() if image.startswith(f"{name}:"))


def _require(condition: object, reason: str) -> None:
    if not condition:
        _give_up(reason)


def _give_up(reason: str) -> NoReturn:
    _missing.append(reason)
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def compose() -> Compose:
    """`docker compose`, as it reads our files; no engine is asked yet."""
    _require(shutil.which("docker") and _succeeds("docker", "compose", "version"), "docker compose is not installed")
    return project(PROJECT)


def project(name: str) -> Compose:
    """On ports of its own, so that several can be up."""
    api, prometheus = _free_port(), _free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    models = Path(os.environ.get("CHAMMAL_MODELS_DIR", "models"))
    environment = kept | {
        "COMPOSE_PROJECT_NAME": name,
        "CHAMMAL_MODELS_DIR": str(models if models.is_absolute() else (ROOT / models).resolve()),
        "CHAMMAL_API_PORT": str(api),
        "PROMETHEUS_PORT": str(prometheus),
        "GRAFANA_PORT": str(_free_port()),
        "VLLM_MODEL": f"/models/{os.environ.get('CHAMMAL_TEST_VLLM_MODEL', 'vllm-qwen')}",
        "HF_HUB_OFFLINE": "1",
    }
    return Compose(environment, api, prometheus)


@pytest.fixture(scope="session")
def mesh(compose: Compose, request: pytest.FixtureRequest) -> Iterator[Compose]:
    """All of it up, healthy, and so ready."""
    _require(_succeeds("docker", "version"), "no Docker engine answers")
    folder = Path(compose.environment["CHAMMAL_MODELS_DIR"])
    served = Path(compose.environment["VLLM_MODEL"]).name
    for needed in (*NEEDED, f"{served}/config.json"):
        _require(
            (folder / needed).is_file(), f"{folder / needed} is missing: make models; ../shared/vllm/prepare-model"
        )
    without = [] if _succeeds("docker", "image", "inspect", compose.image("grafana/grafana")) else ["--scale=grafana=0"]
    if without:  # compose asks for its image even so; any that is here will do
        compose.environment["GRAFANA_IMAGE"] = compose.image("prom/prometheus")
    compose(*DRILL, "down", "--volumes", "--remove-orphans", "--timeout=2")
    try:
        with phase("build the images"):
            compose(*DRILL, "build", "--quiet")
        with phase("up --wait, vLLM and all models loaded"):
            compose("up", "--detach", "--wait", f"--wait-timeout={START_SECONDS - 60}", "--no-build", *without)
        yield compose
    finally:
        if request.session.testsfailed:
            print(compose("logs", "--tail=40", "--no-color"))
        with phase("down"):
            compose(*DRILL, "down", "--volumes", "--remove-orphans", "--timeout=2")


@pytest.fixture(scope="session")
def client(mesh: Compose) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=mesh.api, timeout=300, trust_env=False) as client:
        yield client

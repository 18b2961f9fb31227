"""The whole mesh as `make run` starts it: real processes, real sockets, real models, on ports of its own."""

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 300
PORTS = ("stt", "llm", "api", "tts", "llamacpp")


@dataclass
class Mesh:
    process: subprocess.Popen[str]
    ports: dict[str, int]
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.ports)

    def listening(self) -> list[str]:
        return [name for name, port in self.ports.items() if _is_open(port)]


def environment(ports: dict[str, int]) -> dict[str, str]:
    return {**os.environ, **{f"CHAMMAL_{name.upper()}_PORT": str(port) for name, port in ports.items()}}


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=environment(ports),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    mesh = Mesh(process, ports)
    up = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            mesh.lines.append(line.rstrip())
            if "Chammal is up" in line:
                up.set()
        up.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        started = up.wait(START_SECONDS) and any(re.search(r"Chammal is up\.", line) for line in mesh.lines)
        assert started, "\n".join(mesh.lines[-40:])
        yield mesh
    finally:
        if mesh.process.poll() is None:
            os.killpg(mesh.process.pid, signal.SIGINT)
            mesh.process.wait(60)
        reader.join(10)


@pytest.fixture
def http(mesh: Mesh) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=mesh.url, timeout=300, trust_env=False) as client:
        yield client

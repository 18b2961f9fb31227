"""The whole mesh as `make run` starts it: real processes, real sockets, real models, on ports of its own."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

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
    printed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, *parts: str, seconds: float = 30, after: int = 0) -> str:
        """The first line, of those `after` so many, that has all parts: printed already or still to come."""

        def found() -> str | None:
            return next((line for line in self.lines[after:] if all(part in line for part in parts)), None)

        with self.printed:
            assert self.printed.wait_for(found, seconds), f"no line with {parts}:\n" + "\n".join(self.lines[-40:])
            return found() or ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.ports)

    def pids(self, module: str) -> list[int]:
        """Of its own processes that run `module`."""
        found = subprocess.run(["pgrep", "-f", "--", f"-m {module}$"], capture_output=True, text=True, check=False)
        port = f"CHAMMAL_API_PORT={self.ports['api']}".encode()
        return [pid for pid in map(int, found.stdout.split()) if port in _environment_of(pid)]

    def listening(self) -> list[str]:
        return [name for name, port in self.ports.items() if _is_open(port)]


def environment(ports: dict[str, int]) -> dict[str, str]:
    return {**os.environ, **{f"CHAMMAL_{name.upper()}_PORT": str(port) for name, port in ports.items()}}


def _environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []  # it has ended meanwhile


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


@contextmanager
def started(*command: str, names: Sequence[str], variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[Mesh]:
    """What `command` starts, on a port of its own for each of `names`, with calls of its own; stopped by Ctrl-C."""
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    with TemporaryDirectory() as data, _running(command, ports, {"CHAMMAL_API_DATA_DIR": data, **variables}) as mesh:
        mesh.wait_for("Chammal is up.", seconds=START_SECONDS)
        yield mesh


@contextmanager
def _running(command: Sequence[str], ports: dict[str, int], variables: Mapping[str, str]) -> Iterator[Mesh]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment(ports), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    mesh = Mesh(process, ports)

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with mesh.printed:
                mesh.lines.append(line.rstrip())
                mesh.printed.notify_all()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield mesh
    finally:
        if mesh.process.poll() is None:
            os.killpg(mesh.process.pid, signal.SIGINT)
            mesh.process.wait(60)
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    with started("make", "run", names=PORTS) as mesh:
        yield mesh


@pytest.fixture
def http(mesh: Mesh) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=mesh.url, timeout=300, trust_env=False) as client:
        yield client

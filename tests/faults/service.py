"""One real service process: started, read, killed, paused, started again."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
START_SECONDS = 120


HTTP = httpx2.Client(trust_env=False, verify=False, limits=httpx2.Limits(max_keepalive_connections=0))
"""For all requests of the tests, each on a connection of its own: making a client costs more than a cell may."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """`python -m module`, always on the same port."""

    def __init__(self, module: str, prefix: str, env: dict[str, str], *, ready_path: str = "/ready") -> None:
        self.module = module
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **env, f"{prefix}_PORT": str(self.port)}
        self._ready_path = ready_path
        self._printed = threading.Condition()
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            cwd=ROOT,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.process = process
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with self._printed:
                    self.lines.append(line.rstrip())
                    self._printed.notify_all()

    def wait_for_line(self, pattern: str, *, after: int = 0, seconds: float = 3) -> str | None:
        """The first line from number `after` on in which `pattern` is found, printed already or still to come."""
        wanted = re.compile(pattern)

        def found() -> str | None:
            return next((line for line in self.lines[after:] if wanted.search(line)), None)

        with self._printed:
            self._printed.wait_for(lambda: found() is not None, seconds)
            return found()

    def wait_ready(self, statuses: tuple[int, ...] = (200,)) -> None:
        give_up = time.monotonic() + START_SECONDS
        while True:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.module} ended:\n" + "\n".join(self.lines[-30:])
            try:
                if HTTP.get(self.url + self._ready_path, timeout=10).status_code in statuses:
                    return
            except httpx2.TransportError:
                pass
            assert time.monotonic() < give_up, f"{self.module} is not ready:\n" + "\n".join(self.lines[-30:])
            time.sleep(0.05)

    def children(self) -> list[int]:
        """Pids of its worker processes."""
        assert self.process is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        ).stdout
        return [int(pid) for pid in found.split()]

    def signal(self, number: signal.Signals) -> None:
        """To the whole group, its workers included."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

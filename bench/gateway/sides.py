"""Who stands before the stub: each side is a process (tree) of its own, with one worker and without keys."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.stt.machine import free_port
from bench.stt.peers import HOME, INSTALL_SECONDS, environment
from bench.stt.run import report
from bench.stt.sides import SideMissing

START_SECONDS = 180
LITELLM, PORTKEY, ROUTER = "1.106.2", "1.15.2", "0.1.17"


class Side:
    """`calls` are those of one round with one client, `warm` those before the first round; `extra` headers go with
    every call."""

    name: str
    calls = 2000
    warm = 2000
    outages = 1
    extra = ""

    def __init__(self, upstream: int) -> None:
        self.url = f"http://127.0.0.1:{upstream}"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        """Returns when it accepts connections. Raises SideMissing."""
        command = self.command()
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            command, env={**os.environ, **self.environment()}, start_new_session=True, **silent
        )
        give_up = time.monotonic() + START_SECONDS
        while not _accepts(self.port):
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise SideMissing(f"{self.name} did not start")
            time.sleep(0.2)
        report(f"{self.name} is up")

    def stop(self) -> None:
        """It and all that it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Direct(Side):
    name = "the stub alone"

    def command(self) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("stub.py")), str(self.port)]


class Gateway(Side):
    name = "Chammal llm-gateway"
    outages = 3

    def command(self) -> list[str]:
        return [sys.executable, "-m", "chammal_llm_gateway"]

    def environment(self) -> dict[str, str]:
        return {"CHAMMAL_LLM_PORT": str(self.port), "CHAMMAL_LLM_VLLM_URL": self.url}


class Api(Side):
    name = "Chammal api, passing through"
    outages = 3

    def command(self) -> list[str]:
        return [sys.executable, "-m", "chammal_api"]

    def environment(self) -> dict[str, str]:
        return {"CHAMMAL_API_PORT": str(self.port), "CHAMMAL_API_LLM_URL": self.url}


class LiteLlm(Side):
    name = f"litellm proxy {LITELLM}"
    calls = 200
    warm = 300

    def command(self) -> list[str]:
        scripts = environment("litellm", LITELLM, extra="[proxy]")
        configuration = HOME / "litellm.yaml"
        configuration.write_text(
            "model_list:\n  - model_name: default\n"
            f'    litellm_params: {{model: openai/bench, api_base: "{self.url}/v1", api_key: none}}\n'
            "litellm_settings: {telemetry: false}\n"
        )
        command = [str(scripts / "python"), str(scripts / "litellm"), "--config", str(configuration)]
        return [*command, "--host", "127.0.0.1", "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


class Portkey(Side):
    name = f"Portkey gateway {PORTKEY}"
    calls = 1000
    warm = 4000

    def __init__(self, upstream: int) -> None:
        super().__init__(upstream)
        self.extra = (
            f"x-portkey-provider: openai\r\nAuthorization: Bearer none\r\nx-portkey-custom-host: {self.url}/v1\r\n"
        )

    def command(self) -> list[str]:
        script = node_package("@portkey-ai/gateway", PORTKEY) / "build" / "start-server.js"
        return ["node", str(script), "--headless", f"--port={self.port}"]

    def environment(self) -> dict[str, str]:
        return {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}


class VllmRouter(Side):
    name = f"vllm-router {ROUTER}"

    def command(self) -> list[str]:
        router = str(environment("vllm-router", ROUTER) / "vllm-router")
        return [router, "--host", "127.0.0.1", "--port", str(self.port), "--worker-urls", self.url]


def node_package(name: str, release: str) -> Path:
    """The folder of this package, installed from npm when it is not there. Raises SideMissing."""
    home = HOME / f"{name.rpartition('/')[0].strip('@') or name}-{release}"
    folder = home / "node_modules" / name
    if not folder.exists():
        report(f"installing {name} {release} into {home}")
        command = ["npm", "install", "--prefix", str(home), "--no-audit", "--no-fund", f"{name}@{release}"]
        home.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise SideMissing(f"{name} {release} does not install: {error}") from error
    return folder


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

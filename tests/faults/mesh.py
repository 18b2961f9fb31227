"""The mesh under test: real services, with a fault proxy before each thing that one of them calls."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

import httpx2

from chammal_contracts.stages import BreakerState
from tests.faults.exchange import Given
from tests.faults.postgres import FILLED, Postgres
from tests.faults.proxies import Proxies
from tests.faults.service import HTTP, Service
from tests.faults.stored_calls import fill, stored_id

STAGE_SECONDS, PATIENT_SECONDS = 3.0, 20.0
"""Longest wait of the api for the upstream with a fault, and for the others."""
ANSWER_SECONDS = 8.0
"""Longest answer of a conversation."""
BACKENDS = ("vllm", "ollama", "openai", "anthropic", "llamacpp")
MODEL = "whisper-tiny.en"
NAMED = {"agent": "agent", "webhook": "webhook", "file": "store"}
"""Upstreams that a request names, by the name of its field."""
SECRET = "whsec_Y2hhbW1hbC1jaGFtbWFsLWNoYW1tYWwtY2hhbW1hbA=="

Series = dict[str, float]
_SAMPLE = re.compile(r"^(chammal_\w+)\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Scene:
    """The api that is asked in a cell, and the gateway behind it."""

    def __init__(self, api: Service, gateway: Service, addresses: Mapping[str, str]) -> None:
        self.api = api
        self.gateway = gateway
        self.addresses = addresses
        self._stored = count(1)

    def given(self, upstream: str) -> Given:
        """What is named to the api where that is the upstream with a fault."""
        named = {f"{name}_url": self.addresses[address] for name, address in NAMED.items() if address == upstream}
        return Given(**named, stored=lambda: stored_id(next(self._stored)))

    def series(self) -> dict[str, Series]:
        return {"api": read_metrics(self.api.url), "llm-gateway": read_metrics(self.gateway.url)}

    def breaker(self, observer: str, upstream: str) -> BreakerState | None:
        """None where there is none yet."""
        service = self.api if observer == "api" else self.gateway
        series = read_metrics(service.url)
        for state in BreakerState:
            if series.get(f'chammal_breaker_state{{state="{state}",upstream="{upstream}"}}') == 1:
                return state
        return None


def read_metrics(url: str) -> Series:
    """By name and labels in alphabetical order."""
    try:
        text = HTTP.get(f"{url}/metrics", timeout=5).text
    except httpx2.TransportError:  # killed or paused: that is what is tested
        return {}
    series = {}
    for found in _SAMPLE.finditer(text):
        series[name_of(found[1], dict(_LABEL.findall(found[2])))] = float(found[3])
    return series


def name_of(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


class CannotBe(Exception):
    """What this machine has no means for: a disk that can be full, or PostgreSQL."""


class Mesh:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxies = Proxies()
        self._filled = folder / "filled"
        self._services: list[Service] = []
        self._stack = ExitStack()
        stand_in = f"http://127.0.0.1:{self.proxies.stand_in_port}"
        self.stt = self._service("chammal_stt", "CHAMMAL_STT", self.stt_env())
        self.tts = self._service("chammal_tts", "CHAMMAL_TTS", {})
        self.vllm = self._service("tests.faults.stand_in", "STAND_IN", {}, ready_path="/v1/models")
        backends = {name: self.proxies.add(name, self.proxies.stand_in_port) for name in BACKENDS}
        self.gateway = self.make_gateway(backends)
        self.direct_gateway = self.make_gateway({"vllm": self.vllm.url, "ollama": stand_in})
        named = {
            name: self.proxies.add(name, self.proxies.stand_in_port) + path
            for name, path in (("agent", "/agent"), ("webhook", "/hook"), ("store", "/call.wav"))
        }
        self.addresses = {
            "stt": self.proxies.add("stt", self.stt.port),
            "tts": self.proxies.add("tts", self.tts.port),
            "llm-gateway": self.proxies.add("llm-gateway", self.gateway.port),
            **named,
        }
        self.direct = {
            "stt": self.stt.url,
            "tts": self.tts.url,
            "llm-gateway": self.direct_gateway.url,
            "agent": f"{stand_in}/agent",
            "webhook": f"{stand_in}/hook",
            "store": f"{stand_in}/call.wav",
        }
        self.backends = backends
        self._scenes: dict[tuple[str, bool], Scene] = {}
        self._known = len(self._services)

    def scene(self, upstream: str, *, direct: bool = False) -> Scene:
        """Its api has short patience with `upstream` alone, so that what is slow for want of a core is no fault.

        Direct is for faults of real processes; else there are proxies in between.
        """
        if (upstream, direct) not in self._scenes:
            gateway = self.direct_gateway if direct else self.gateway
            addresses = self.direct if direct else self.addresses
            if upstream in BACKENDS:
                addresses = {**addresses, "llm-gateway": gateway.url}
            more = {}
            if upstream == "database":
                more["CHAMMAL_API_DATABASE_URL"] = self.database_url(direct=direct)
            api = self.make_api(addresses, impatient_with=upstream, **more)
            self._known = len(self._services)
            self._scenes[upstream, direct] = Scene(api, gateway, addresses)
        return self._scenes[upstream, direct]

    def start(self, *services: Service) -> None:
        """Those that do not run yet."""
        starting = [service for service in services if service.process is None]
        for service in starting:
            service.start()
        for service in starting:
            service.wait_ready()

    def take_new(self) -> list[Service]:
        """Those that were made since it was asked last."""
        new, self._known = self._services[self._known :], len(self._services)
        return new

    @cached_property
    def postgres(self) -> Postgres:
        """Running. Raises CannotBe where it is not installed."""
        try:
            made = Postgres()
        except (FileNotFoundError, KeyError) as error:
            raise CannotBe(str(error)) from error
        self._stack.callback(made.close)
        made.start()
        made.wait_ready()
        made.make(name=FILLED)
        fill(self.folder / "filled-postgres", made.url(FILLED))
        self._database_port = self.proxies.add_tcp("database", made.port)
        return made

    def database_url(self, *, direct: bool) -> str:
        """Of a new one with calls that have ended."""
        name = self.postgres.make(FILLED)
        return self.postgres.url(name, None if direct else self._database_port)

    def close(self) -> None:
        self.proxies.heal()
        for service in reversed(self._services):
            service.stop()
        self.proxies.close()
        self._stack.close()

    @staticmethod
    def stt_env() -> dict[str, str]:
        return {"CHAMMAL_STT_MODEL": MODEL, "CHAMMAL_STT_WORKERS": "1", "CHAMMAL_STT_CPU_THREADS": "2"}

    def make_gateway(self, backends: dict[str, str]) -> Service:
        urls = {f"CHAMMAL_LLM_{name.upper()}_URL": url for name, url in backends.items()}
        return self._service(
            "chammal_llm_gateway",
            "CHAMMAL_LLM",
            {
                **urls,
                "CHAMMAL_LLM_ANTHROPIC_KEY": "none" if "anthropic" in backends else "",
                "CHAMMAL_LLM_CONNECT_SECONDS": "0.5",
                "CHAMMAL_LLM_FIRST_TOKEN_SECONDS": "1",
                "CHAMMAL_LLM_IDLE_SECONDS": "1",
                "CHAMMAL_LLM_TOTAL_SECONDS": "1.5",
                "CHAMMAL_LLM_READY_SECONDS": "1",
                "CHAMMAL_LLM_READY_CACHE_SECONDS": "0",
                "CHAMMAL_LLM_READY_FRESH_SECONDS": "0",
                "CHAMMAL_LLM_NAMES_SECONDS": "0",
                "CHAMMAL_LLM_BREAKER_FAILURES": "1",
                "CHAMMAL_LLM_BREAKER_OPEN_SECONDS": "1",
                "CHAMMAL_LLM_VLLM_MODEL": "stand-in",
                "CHAMMAL_LLM_OLLAMA_MODEL": "stand-in",
                "CHAMMAL_LLM_OPENAI_MODEL": "stand-in",
            },
        )

    def make_api(self, addresses: dict[str, str], *, impatient_with: str | None = None, **more: str) -> Service:
        seconds = {
            name: str(STAGE_SECONDS if impatient_with in upstreams else PATIENT_SECONDS)
            for name, upstreams in (("STT", ["stt"]), ("LLM", ["llm-gateway", "agent"]), ("TTS", ["tts"]))
        }
        return self._service(
            "chammal_api",
            "CHAMMAL_API",
            {
                "CHAMMAL_API_STT_URL": addresses["stt"],
                "CHAMMAL_API_LLM_URL": addresses["llm-gateway"],
                "CHAMMAL_API_TTS_URL": addresses["tts"],
                "CHAMMAL_API_AGENT_URLS": addresses["agent"],
                "CHAMMAL_API_WEBHOOK_URLS": addresses["webhook"],
                "CHAMMAL_API_WEBHOOK_SECRET": SECRET,
                "CHAMMAL_API_STORE_URLS": addresses["store"],
                "CHAMMAL_API_DATABASE_SECONDS": "2",
                "CHAMMAL_API_MIN_FREE_BYTES": "0",
                "CHAMMAL_API_HEAL_FIRST_SECONDS": "2",
                "CHAMMAL_API_HEAL_LONGEST_SECONDS": "2",
                **{f"CHAMMAL_API_{name}_SECONDS": value for name, value in seconds.items()},
                "CHAMMAL_API_REALTIME_STT_SECONDS": seconds["STT"],
                "CHAMMAL_API_REALTIME_REPLY_SECONDS": seconds["LLM"],
                "CHAMMAL_API_REALTIME_ANSWER_SECONDS": str(min(ANSWER_SECONDS, float(seconds["LLM"]))),
                "CHAMMAL_API_REALTIME_SPEECH_SECONDS": seconds["TTS"],
                "CHAMMAL_API_CONNECT_SECONDS": "0.5",
                "CHAMMAL_API_IDLE_SECONDS": "1",
                "CHAMMAL_API_READY_CACHE_SECONDS": "0",
                "CHAMMAL_API_BREAKER_FAILURES": "1",
                "CHAMMAL_API_BREAKER_OPEN_SECONDS": "1",
                **({} if "CHAMMAL_API_DATA_DIR" in more else {"CHAMMAL_API_DATA_DIR": str(self.data_folder())}),
                **more,
            },
        )

    def data_folder(self, folder: Path | None = None) -> Path:
        """Of one api, with calls that have ended."""
        if not self._filled.exists():
            fill(self._filled)
        folder = folder or Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copytree(self._filled, folder, dirs_exist_ok=True)
        return folder

    def _service(self, module: str, prefix: str, env: dict[str, str], ready_path: str = "/ready") -> Service:
        service = Service(module, prefix, env, ready_path=ready_path)
        self._services.append(service)
        return service

    def extra_stt(self, env: dict[str, str]) -> Service:
        return self._service("chammal_stt", "CHAMMAL_STT", {**self.stt_env(), **env}, ready_path="/health")

    def extra_tts(self, env: dict[str, str]) -> Service:
        return self._service("chammal_tts", "CHAMMAL_TTS", env, ready_path="/health")

    @contextmanager
    def small_disk(self, folder: Path | None = None) -> Iterator[Path]:
        """A file system of its own, at `folder` or at a new one. Raises CannotBe where only root may."""
        folder = folder or Path(tempfile.mkdtemp(dir=self.folder))
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise CannotBe(str(error)) from error
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=False, capture_output=True)

    def corrupt_models(self, model: str) -> Path:
        """A models folder whose `model` has weights of the right size and no sense."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        real = Path(os.environ.get("CHAMMAL_MODELS_DIR", "models")).resolve() / model
        shutil.copytree(real, folder / model, symlinks=False)
        for file in (folder / model).rglob("*"):
            if file.is_file() and file.stat().st_size > 1 << 20:
                size = file.stat().st_size
                with file.open("r+b") as weights:
                    weights.write(b"\xff" * min(size, 1 << 20))
        return folder

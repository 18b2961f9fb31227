"""Every drill keeps its promise with the real api and the real gateway; a few of them where CI is set."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chammal.drill.scenario import scenarios
from tests.faults.service import HTTP, ROOT, Service, free_port

QUICK = ("gateway-503", "tts-cut", "vllm-garbage")
CHOSEN = QUICK if os.environ.get("CI") == "true" else tuple(scenarios())
HANGS_SECONDS = 12
"""Longer than the users wait, so that they are let down."""


@dataclass(frozen=True)
class Mesh:
    api: Service
    faults: Service

    def drill(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "chammal", "drill", *arguments]
        addresses = ["--url", self.api.url, "--control", self.faults.url]
        return subprocess.run(
            [*command, *addresses], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    ports = {name: free_port() for name in ("stt", "tts", "vllm", "llm-gateway")}
    via = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    stand_in = Service("tests.drill.stand_in", "STAND_IN", {})
    gateway = Service("chammal_llm_gateway", "CHAMMAL_LLM", {"CHAMMAL_LLM_VLLM_URL": via["vllm"]})
    targets = dict.fromkeys(("stt", "tts", "vllm"), stand_in.port) | {"llm-gateway": gateway.port}
    routes = ",".join(f"{name}=127.0.0.1:{ports[name]}>127.0.0.1:{port}" for name, port in targets.items())
    faults = Service("chammal.faults", "CHAMMAL_FAULTS_CONTROL", {"CHAMMAL_FAULTS_ROUTES": routes})
    urls = {"STT": via["stt"], "LLM": via["llm-gateway"], "TTS": via["tts"]}
    told = {f"CHAMMAL_API_{name}_URL": url for name, url in urls.items()}
    api = Service("chammal_api", "CHAMMAL_API", told | {"CHAMMAL_API_DATA_DIR": str(tmp_path_factory.mktemp("data"))})
    services = (stand_in, faults, gateway, api)
    try:
        for service in services:
            service.start()
            service.wait_ready()
        yield Mesh(api, faults)
    finally:
        for service in services:
            service.stop()


@pytest.mark.parametrize("name", CHOSEN)
def test_the_promise_is_kept_and_nothing_stays_broken(mesh: Mesh, name: str) -> None:
    seconds = HANGS_SECONDS if "hangs" in name or "flaky" in name else 4
    ran = mesh.drill(name, "--for", f"{seconds}s")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"promise kept +yes", ran.stdout)
    assert set(HTTP.get(f"{mesh.faults.url}/faults").json().values()) == {None}

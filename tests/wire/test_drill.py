"""`chammal drill` against a mesh that `chammal up --drill` starts; its language model is the other mesh's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest

from tests.wire.conftest import ROOT, Mesh, started

pytestmark = pytest.mark.model

CHAMMAL = (sys.executable, "-m", "chammal")


@pytest.fixture(scope="module")
def drilled(mesh: Mesh) -> Iterator[Mesh]:
    names = ("stt", "llm", "api", "tts", "faults_control")
    model = {"CHAMMAL_LLM_LLAMACPP_URL": f"http://127.0.0.1:{mesh.ports['llamacpp']}"}
    with started(*CHAMMAL, "up", "--drill", "--no-fetch", names=names, variables=model) as drilled:
        yield drilled


def drill(mesh: Mesh, *arguments: str) -> subprocess.Popen[str]:
    command = (*CHAMMAL, "drill", *arguments)
    return subprocess.Popen(command, cwd=ROOT, env=mesh.environment, stdout=subprocess.PIPE, text=True)


def faults(mesh: Mesh) -> dict[str, object]:
    address = f"http://127.0.0.1:{mesh.ports['faults_control']}/faults"
    told: dict[str, object] = httpx2.get(address, trust_env=False).json()
    return told


def test_while_tts_is_down_everything_else_works_and_the_promise_is_kept(drilled: Mesh) -> None:
    with drill(drilled, "tts-down", "--for", "5s") as running:
        told, _ = running.communicate(timeout=300)
    assert running.returncode == 0, told
    for part in ("FAULT SET   tts: refuse, for 5 s", "stage_failed tts=", "FAULT GONE", "recovered", "promise kept"):
        assert part in told
    assert set(faults(drilled).values()) == {None}


def test_ctrl_c_ends_a_drill_and_removes_its_fault(drilled: Mesh) -> None:
    with drill(drilled, "stt-garbage", "--for", "10m") as running:
        assert running.stdout is not None
        assert any("FAULT SET" in line for line in running.stdout)
        assert faults(drilled)["stt"]
        os.kill(running.pid, signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert set(faults(drilled).values()) == {None}

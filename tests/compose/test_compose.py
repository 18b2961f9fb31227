"""The main job in containers, and what users get while one service after another is gone. In this order."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from typing import Any

import httpx2
import pytest

from chammal_contracts.headers import DEGRADED
from chammal_contracts.stages import AttemptOutcome, BreakerState, FailureType, Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentType, Finding, TranscribeResult
from tests.compose.conftest import DRILL, ROOT, Compose, note, phase, until
from tests.compose.dashboards import queries

pytestmark = pytest.mark.compose

SAMPLE = files("chammal").joinpath("samples", "call_ko.ogg").read_bytes()
SERVICES = {"api", "stt", "llm-gateway", "tts", "vllm"}


def analyse(client: httpx2.Client, *, check: bool = True) -> tuple[TranscribeResult, httpx2.Response]:
    response = client.post(
        "/transcribe",
        files={"file": ("call.ogg", SAMPLE)},
        data={"language": "ko", "incomplete_elements_check": str(check).lower()},
    )
    assert response.status_code == 200, response.text
    return TranscribeResult.model_validate_json(response.content), response


def stage(result: TranscribeResult, name: Stage) -> StageReport:
    return next(report for report in result.stages if report.stage is name)


def breaker_state(client: httpx2.Client, upstream: str) -> BreakerState:
    metrics = client.get("/metrics").text
    line = rf'^chammal_breaker_state{{state="(\w+)",upstream="{upstream}"}} 1\.0$'
    (state,) = re.findall(line, metrics, re.MULTILINE)
    return BreakerState(state)


def test_containers_run_as_nobody_special_on_a_root_they_cannot_write(mesh: Compose) -> None:
    ids = mesh("ps", "--quiet").split()
    inspected = json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True).stdout)
    assert {one["Config"]["Labels"]["com.docker.compose.service"] for one in inspected} >= SERVICES | {"prometheus"}
    for one in inspected:
        name, host = one["Name"], one["HostConfig"]
        assert re.fullmatch(r"[1-9]\d*:\d+", one["Config"]["User"]), name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert one["State"]["Health"]["Status"] == "healthy", name


def test_uploads_are_spooled_to_a_disk_and_images_hold_no_compiler_and_no_pip(mesh: Compose) -> None:
    tried = (
        "import importlib.util, shutil, tempfile;"
        "print(tempfile.gettempdir(), shutil.which('gcc'), importlib.util.find_spec('pip'))"
    )
    for service in ("api", "stt"):
        assert mesh("exec", "-T", service, "python", "-c", tried).split() == ["/spool", "None", "None"]
        mounts = json.loads(mesh("config", "--format=json"))["services"][service]["volumes"]
        assert {"type": "volume", "target": "/spool"}.items() <= next(
            m for m in mounts if m["target"] == "/spool"
        ).items()


def test_the_sample_call_is_transcribed_and_analysed_by_vllm(mesh: Compose, client: httpx2.Client) -> None:
    with phase("one call over HTTP"):
        result, response = analyse(client)
    assert result.success
    assert result.text
    assert result.agent_type is AgentType.VLLM
    assert result.agent_analysis is not None
    assert result.agent_analysis.model == mesh.environment["VLLM_MODEL"]
    assert not any((result.is_dummy, result.is_agent_dummy, result.is_partial_failure))
    assert {report.status for report in result.stages} == {StageStatus.OK}
    assert DEGRADED not in response.headers
    assert result.incomplete_elements is not None
    quotes = [element.quote for element in result.incomplete_elements.elements if element.quote]
    assert all("".join(quote.split()) in "".join(result.text.split()) for quote in quotes)


def test_the_demo_says_that_every_stage_brought_a_real_answer(mesh: Compose) -> None:
    with phase("chammal demo"):
        done = subprocess.run(
            [sys.executable, "-m", "chammal", "demo", "--url", mesh.api], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every stage brought a real answer." in done.stdout


def test_chat_streams_from_vllm_and_speech_is_spoken(client: httpx2.Client) -> None:
    with phase("a streamed chat and a sentence of speech"):
        asked = {
            "model": "default",
            "stream": True,
            "max_tokens": 16,
            "messages": [{"role": "user", "content": "안녕하세요"}],
        }
        chat = client.post("/v1/chat/completions", json=asked)
        assert chat.status_code == 200
        assert chat.text.rstrip().endswith("data: [DONE]")
        speech = client.post(
            "/v1/audio/speech",
            json={"model": "tts-1", "voice": "alloy", "input": "감사합니다.", "response_format": "wav"},
        )
        assert speech.status_code == 200, speech.text
        assert speech.content.startswith(b"RIFF")


def test_a_drill_breaks_stt_for_a_while_and_the_promise_is_kept(mesh: Compose) -> None:
    proxied = ("faults", "api", "llm-gateway")
    with phase("put the fault proxy between the services"):
        mesh(*DRILL, "up", "--detach", "--wait", "--no-build", *proxied)
    with phase("chammal drill stt-down --for 10s"):
        told = mesh(*DRILL, "exec", "-T", "faults", "chammal", "drill", "stt-down", "--for", "10s")
    assert re.search(r"promise kept +yes", told), told
    assert "stt=dummy analysis=skipped is_dummy" in told
    with phase("take the fault proxy away again"):
        mesh(*DRILL, "rm", "--stop", "--force", "faults")
        mesh("up", "--detach", "--wait", "--no-build", *proxied[1:])


def test_without_vllm_the_transcript_still_comes(mesh: Compose, client: httpx2.Client) -> None:
    mesh("stop", "--timeout=2", "vllm")
    with phase("one call without vllm"):
        result, response = analyse(client)
    assert result.success
    assert result.text
    assert result.is_agent_dummy
    assert result.is_partial_failure
    assert result.agent_dummy_reason
    assert result.agent_type is AgentType.DUMMY
    assert result.agent_analysis is None
    assert not result.is_dummy
    assert response.headers[DEGRADED] == "analysis=dummy"
    assert result.incomplete_elements is not None
    assert {element.verdict for element in result.incomplete_elements.elements} == {Finding.NOT_EVALUATED}

    def degraded() -> list[str] | None:
        ready = client.get("/ready")
        assert ready.status_code == 200
        return ready.json()["degraded"] or None

    # the api, and the gateway behind it, remember for seconds that all was well
    assert until(30, degraded, "word of the missing part in /ready") == ["llm-gateway"]


def test_without_stt_every_answer_says_so_and_the_breaker_opens(mesh: Compose, client: httpx2.Client) -> None:
    mesh("stop", "--timeout=2", "stt")
    with phase("calls without stt until its breaker is open"):
        for _ in range(5):
            result, response = analyse(client)
            assert result.is_dummy
            assert result.dummy_reason
            assert not result.success
            assert result.text is None
            assert stage(result, Stage.ANALYSIS).status is StageStatus.SKIPPED
            assert response.headers[DEGRADED] == "stt=dummy"
        assert breaker_state(client, "stt") is not BreakerState.CLOSED


def test_an_open_breaker_answers_at_once(client: httpx2.Client) -> None:
    def refused() -> tuple[StageReport, float] | None:
        result, response = analyse(client, check=False)
        report = stage(result, Stage.STT)
        only_refused = {attempt.outcome for attempt in report.attempts} == {AttemptOutcome.REFUSED}
        return (report, response.elapsed.total_seconds()) if only_refused else None

    report, seconds = until(20, refused, "answer from an open breaker")
    assert report.breaker is BreakerState.OPEN
    assert report.error_type == FailureType.BREAKER_OPEN
    note("one call that an open breaker refused, its upload included", seconds)


def test_when_stt_is_back_its_breaker_closes_by_itself(mesh: Compose, client: httpx2.Client) -> None:
    def healed() -> TranscribeResult | None:
        result, _ = analyse(client, check=False)
        return result if result.success and breaker_state(client, "stt") is BreakerState.CLOSED else None

    with phase("stt started again, until its breaker is closed"):
        mesh("start", "stt")
        result = until(180, healed, "closed breaker in front of stt")
    assert result.text
    assert not result.is_dummy


def ask(mesh: Compose, path: str, **parameters: str) -> Any:
    response = httpx2.get(f"{mesh.prometheus}/api/v1/{path}", params=parameters, trust_env=False)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def test_prometheus_scrapes_every_service_and_holds_the_rules(mesh: Compose) -> None:
    up = {row["metric"]["service"]: row["value"][1] for row in ask(mesh, "query", query="up")["result"]}
    assert up == {**dict.fromkeys(SERVICES, "1"), "vllm": "0"}
    rules = [rule for group in ask(mesh, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) == (ROOT / "compose/prometheus/alerts.yml").read_text().count("- alert:")
    assert {rule["health"] for rule in rules} == {"ok"}


@pytest.mark.parametrize("expression", queries())
def test_no_panel_of_the_dashboard_is_empty(mesh: Compose, expression: str) -> None:
    def rows() -> list[Any] | None:
        return ask(mesh, "query", query=expression)["result"] or None

    until(60, rows, f"result of {expression}")


def test_the_dashboard_shows_what_was_lost(mesh: Compose) -> None:
    lost = ask(mesh, "query", query='sum by (stage) (increase(chammal_stage_total{status="dummy"}[30m])) > 0')["result"]
    assert {row["metric"]["stage"] for row in lost} == {"stt", "analysis"}


def test_promtool_accepts_the_configuration_and_the_rules_do_what_they_say(mesh: Compose) -> None:
    promtool = [
        "docker",
        "run",
        "--rm",
        "--entrypoint=promtool",
        f"--volume={ROOT}:/repo:ro",
        mesh.image("prom/prometheus"),
    ]
    for arguments in (
        ["check", "config", "/repo/compose/prometheus/prometheus.yml"],
        ["test", "rules", "/repo/tests/compose/alerts.test.yml"],
    ):
        done = subprocess.run([*promtool, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

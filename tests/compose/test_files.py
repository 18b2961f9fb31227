"""What the compose files promise, read without an engine."""

import json
import os
import re
import subprocess
import tomllib
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from chammal.faults.settings import read_routes
from tests.compose.conftest import DRILL, ROOT, Compose
from tests.compose.conftest import OURS as OWN

pytestmark = pytest.mark.compose

FILES = [ROOT / "compose.yaml", *sorted((ROOT / "compose").glob("*.yaml"))]
OURS = ("stt", "llm-gateway", "tts", "api")


def read(compose: Compose, *arguments: str) -> dict[str, Any]:
    told = json.loads(compose(*arguments, "config", "--format=json"))
    services: dict[str, Any] = told["services"]
    return services


def test_all_files_together_stay_under_260_lines() -> None:
    assert sum(len(file.read_text().splitlines()) for file in FILES) < 260


def test_every_combination_in_the_header_is_valid(compose: Compose) -> None:
    told = re.findall(r"^#   docker compose (.*?)(?:  |$)", (ROOT / "compose.yaml").read_text(), re.MULTILINE)
    assert len(told) >= 5
    for combination in told:
        compose(*_files(combination), "config", "--quiet")


def test_nothing_has_to_be_set_and_nobody_is_warned(compose: Compose) -> None:
    plain = {name: value for name, value in compose.environment.items() if not name.startswith(OWN)}
    command = ["docker", "compose", "--env-file", os.devnull, "config", "--quiet"]
    told = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("", "")


def _files(combination: str) -> list[str]:
    return [part for file in re.findall(r"-f (\S+)", combination) for part in ("-f", file)]


def test_vllm_serves_the_manifests_model_at_its_commit_by_default(compose: Compose) -> None:
    default = next(
        model
        for model in tomllib.loads((ROOT / "models/manifest.toml").read_text())["model"]
        if model.get("fetched_by") == "vllm" and model.get("default")
    )["source"]
    environment = {k: v for k, v in compose.environment.items() if k != "VLLM_MODEL"}
    for files in ([], ["-f", "compose.yaml", "-f", "compose/gpu.yaml"]):
        command = read(Compose(environment, 0, 0), *files)["vllm"]["command"]
        assert command[:2] == [default["repo"], f"--revision={default['revision']}"]


def test_the_gpu_file_changes_vllm_alone_and_to_the_same_version(compose: Compose) -> None:
    plain, gpu = read(compose), read(compose, "-f", "compose.yaml", "-f", "compose/gpu.yaml")
    assert {name for name in plain if plain[name] != gpu[name]} == {"vllm"}
    assert gpu["vllm"]["image"].split(":") == ["vllm/vllm-openai", plain["vllm"]["image"].split(":")[1]]
    assert not [argument for argument in gpu["vllm"]["command"] if "dtype" in argument or "kv-cache" in argument]
    assert gpu["vllm"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_the_drill_file_leads_each_service_to_the_fault_proxy_and_the_proxy_to_the_next(compose: Compose) -> None:
    plain, drill = read(compose), read(compose, *DRILL)
    assert drill.keys() - plain.keys() == {"faults"}
    told = {
        variable: urlsplit(value)
        for service in ("api", "llm-gateway")
        for variable, value in drill[service]["environment"].items()
        if value != plain[service]["environment"].get(variable)
    }
    assert {address.hostname for address in told.values()} == {"faults"}
    routes = read_routes(drill["faults"]["environment"]["CHAMMAL_FAULTS_ROUTES"])
    assert {route.listen[1] for route in routes} == {address.port for address in told.values()}
    assert {route.target for route in routes} == {
        ("stt", 8001), ("llm-gateway", 8002), ("tts", 8004), ("vllm", 8000),
    }  # fmt: skip
    assert not drill["faults"].get("ports"), "whoever can set faults is in the container"


def test_every_image_from_elsewhere_is_pinned_to_a_version(compose: Compose) -> None:
    for service in read(compose).values():
        if "build" in service:
            assert re.search(r":3\.\d+-slim-trixie$", service["build"]["args"]["PYTHON_IMAGE"])
        else:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_ports_are_on_loopback_unless_told_otherwise(compose: Compose) -> None:
    published = {name: s["ports"] for name, s in read(compose).items() if s.get("ports")}
    assert sorted(published) == ["api", "grafana", "prometheus"]
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_nothing_waits_for_anything_but_grafana_for_the_models_and_even_that_may_fail(compose: Compose) -> None:
    waits = {name: s["depends_on"] for name, s in read(compose).items() if s.get("depends_on")}
    assert list(waits) == ["grafana"]
    assert waits["grafana"]["models"]["required"] is False


@pytest.mark.parametrize("service", ["stt", "tts", "vllm"])
def test_models_are_mounted_read_only_where_they_are_served(compose: Compose, service: str) -> None:
    mounts = {m["target"]: m for m in read(compose)[service]["volumes"]}
    assert mounts["/models"]["source"] == compose.environment["CHAMMAL_MODELS_DIR"]
    assert mounts["/models"]["read_only"]


def test_no_service_needs_a_secret_and_keys_reach_whom_they_are_for(compose: Compose) -> None:
    keys = {
        (name, variable): value
        for name, service in read(compose).items()
        for variable, value in (service.get("environment") or {}).items()
        if re.search(r"KEY|TOKEN|PASSWORD|SECRET", variable)
    }
    assert {name for name, _ in keys} == {"llm-gateway", "tts", "api"}
    assert [variable for name, variable in keys if name == "tts"] == ["CHAMMAL_TTS_OPENAI_KEY"]
    assert [variable for name, variable in keys if name == "api"] == [
        "CHAMMAL_API_KEYS",
        "CHAMMAL_API_WEBHOOK_SECRET",
    ]
    assert set(keys.values()) == {None}


def test_calls_are_kept_on_a_volume_and_rule_sets_come_from_the_repository(compose: Compose) -> None:
    api = read(compose)["api"]
    mounts = {mount["target"]: mount for mount in api["volumes"]}
    assert mounts[api["environment"]["CHAMMAL_API_DATA_DIR"]]["type"] == "volume"
    assert mounts["/app/rules"]["source"] == str(ROOT / "rules")
    assert mounts["/app/rules"]["read_only"]


def test_postgres_is_there_only_when_it_is_asked_for_and_listens_to_nobody_outside(compose: Compose) -> None:
    assert "postgres" not in read(compose)
    postgres = read(compose, "--profile", "postgres")["postgres"]
    assert not postgres.get("ports")
    assert re.search(r"^postgres:\d+\.\d+-", postgres["image"])
    assert (postgres["read_only"], postgres["cap_drop"], postgres["user"]) == (True, ["ALL"], "postgres")
    assert postgres["security_opt"] == ["no-new-privileges:true"]
    assert int(postgres["mem_limit"]) > 0
    assert postgres["environment"]["LANG"].endswith("UTF-8"), "else it may know bytes alone, and no Korean"
    assert [(mount["type"], mount["target"]) for mount in postgres["volumes"]] == [
        ("volume", "/var/lib/postgresql/data")
    ]


def test_the_password_of_postgres_is_all_that_leads_the_api_to_it(compose: Compose) -> None:
    def address(**told: str) -> object:
        services = read(replace(compose, environment=compose.environment | told), "--profile", "postgres")
        assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == told.get("CHAMMAL_POSTGRES_PASSWORD", "")
        return services["api"]["environment"]["CHAMMAL_API_DATABASE_URL"]

    assert not address(), "SQLite"
    assert address(CHAMMAL_POSTGRES_PASSWORD="a0") == "postgresql://chammal:a0@postgres/chammal"
    own = "postgresql://us:b1@db.example.com/calls"
    assert address(CHAMMAL_POSTGRES_PASSWORD="a0", CHAMMAL_API_DATABASE_URL=own) == own

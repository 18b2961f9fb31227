import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chammal.__main__ import main

from .conftest import REVISION, HubStandIn

WEIGHTS = b"weights" * 100_000


@pytest.fixture
def manifest(tmp_path: Path, hub: HubStandIn) -> Path:
    hub.serve("some/tiny", "model.bin", WEIGHTS)
    path = tmp_path / "manifest.toml"
    path.write_text(f"""
[[model]]
id = "tiny"
role = "stt"
title = "Tiny"
licence = "MIT"
languages = ["ko"]
default = true
source = {{ repo = "some/tiny", revision = "{REVISION}" }}
files = [
  {{ path = "model.bin", size = {len(WEIGHTS)}, sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}", hub = "model.bin" }},
]

[[model]]
id = "served"
role = "llm"
title = "Served"
licence = "MIT"
languages = ["ko"]
default = true
fetched_by = "vllm"
source = {{ repo = "some/served", revision = "{REVISION}" }}
""")
    return path


@pytest.fixture
def environment(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("CHAMMAL_MODELS_MANIFEST", str(manifest))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))


def start_fetch(endpoint: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "chammal", "models", "fetch"],
        env={**os.environ, "HF_ENDPOINT": endpoint},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(fetch: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = fetch.communicate(timeout=120)
    return fetch.returncode, said


@pytest.mark.usefixtures("environment")
def test_defaults_are_fetched_from_the_hub_that_the_environment_names(tmp_path: Path, hub: HubStandIn) -> None:
    status, said = finish(start_fetch(hub.url))
    assert status == 0
    assert (tmp_path / "models/tiny/model.bin").read_bytes() == WEIGHTS
    assert "tiny: 100 %" in said
    assert "served: vllm fetches it by itself" in said


@pytest.mark.usefixtures("environment")
def test_two_fetches_at_once_download_the_model_once(hub: HubStandIn) -> None:
    both = [start_fetch(hub.url), start_fetch(hub.url)]
    assert [finish(fetch)[0] for fetch in both] == [0, 0]
    downloads = [reply for reply in hub.seen if reply.method == "GET" and reply.path.endswith("/model.bin")]
    assert len(downloads) == 1


@pytest.mark.usefixtures("environment")
def test_a_fetch_without_a_network_fails_with_the_next_step() -> None:
    status, said = finish(start_fetch("http://127.0.0.1:1"))
    assert status == 1
    assert "cannot be reached" in said
    assert "chammal models fetch tiny" in said


@pytest.mark.usefixtures("environment")
def test_list_says_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["tiny", "stt", "0.7", "MB", "MIT", "ko", "yes", "no"] in rows
    (tmp_path / "models/tiny").mkdir(parents=True)
    (tmp_path / "models/tiny/model.bin").write_bytes(WEIGHTS)
    main(["models", "list"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["tiny", "stt", "0.7", "MB", "MIT", "ko", "yes", "yes"] in rows


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("content", "status", "said"),
    [(WEIGHTS, 0, "verified"), (WEIGHTS[:-1] + b"!", 1, "not the pinned file"), (b"", 1, "is not here")],
)
def test_verify_reads_every_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, status: int, said: str
) -> None:
    (tmp_path / "models/tiny").mkdir(parents=True)
    (tmp_path / "models/tiny/model.bin").write_bytes(content)
    assert main(["models", "verify"]) == status
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_an_unknown_id_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "huge"]) == 1
    assert "tiny, served" in capsys.readouterr().err

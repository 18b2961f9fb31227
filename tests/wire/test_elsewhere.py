"""Started in a folder that is not the repository: rule sets and the list of models come with the packages."""

import os
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.contract.conftest import process

DEFAULTS = {name: "" for name in os.environ if name.startswith("CHAMMAL_")} | {"CHAMMAL_API_DATA_DIR": ""}


def test_the_command_knows_the_models(tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "chammal", "models", "list"],
        cwd=tmp_path,
        env=os.environ | DEFAULTS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "whisper-base" in listed.stdout


def test_the_api_has_the_rules_and_says_where_it_keeps_calls(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process("api", DEFAULTS, log, ready=False, folder=tmp_path) as address:
        told = httpx2.get(f"{address}/v1/rules", timeout=60, trust_env=False).json()
    assert (told["default"], told["problems"]) == ("fcpa-kr", [])
    assert len(told["rule_sets"][0]["elements"]) == 24
    assert str(tmp_path / "data") in log.read_text()
    assert (tmp_path / "data" / "calls.sqlite").is_file()

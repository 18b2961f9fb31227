"""Every operation of every service, with what its OpenAPI document allows and with what it does not.

CHAMMAL_TEST_EXAMPLES sets how many requests an operation gets in the fuzzing phase; `make test-contract` sets more.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import MODULES, ROOT, Services

pytestmark = pytest.mark.model

HERE = Path(__file__).parent
EXAMPLES = os.environ.get("CHAMMAL_TEST_EXAMPLES", "15")
SEED = os.environ.get("CHAMMAL_TEST_SEED") or str(random.randrange(2**32))


@pytest.mark.parametrize("service", MODULES)
def test_no_request_brings_a_500_or_an_answer_that_is_not_in_the_document(
    services: Services, service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("st"), "--config-file", HERE / "schemathesis.toml", "run",
         f"{services[service]}/openapi.json", "--phases=examples,coverage,fuzzing", f"--max-examples={EXAMPLES}",
         f"--seed={SEED}", "--no-shrink", "--request-timeout=60", "--generation-database=none", "--no-color",
         "--continue-on-failure", "--exclude-path=/v1/calls/events"],  # events of all calls have no end
        cwd=tmp_path, env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.contract.hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    with capsys.disabled():
        print(f"\n{service}: seed {SEED}, " + " ".join(ran.stdout.splitlines()[-1:]).strip(" ="))
    if os.environ.get("SHOW"):
        print(ran.stdout)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-4000:]

"""What runs models yields, and nothing else does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="as Linux has it")
IMPORTS = "import os, threading\nfrom pathlib import Path\nfrom chammal_kit.priority import *"
GROUP = "Path('/proc/self/autogroup').read_text('ascii')"


def seen(code: str, *, own_session: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"{IMPORTS}\n{code}"],
        capture_output=True,
        check=True,
        text=True,
        start_new_session=own_session,
    )
    return done.stdout.strip()


def test_a_process_that_computes_yields_and_so_does_what_it_starts() -> None:
    code = "give_way()\npid = os.fork()\npid or print(os.nice(0), flush=True)\npid and os.waitpid(pid, 0)"
    assert seen(code) == str(max(10, os.nice(0)))


def test_only_the_thread_that_computes_yields() -> None:
    code = (
        "def work():\n    thread_gives_way()\n    print(os.getpriority(os.PRIO_PROCESS, 0))\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n"
        "print(os.getpriority(os.PRIO_PROCESS, 0))"
    )
    assert seen(code).split() == [str(max(10, os.nice(0))), str(os.nice(0))]


def test_who_was_told_to_yield_more_is_not_raised() -> None:
    assert seen("os.nice(15)\nbefore = os.nice(0)\ngive_way()\nthread_gives_way()\nprint(os.nice(0) - before)") == "0"


def test_a_session_yields_only_where_it_is_its_own() -> None:
    here = Path("/proc/self/autogroup")
    if not here.exists() or not seen(f"print({GROUP})"):
        pytest.skip("sessions are not weighed here")
    code = f"session_gives_way()\nprint({GROUP})"
    assert seen(code).endswith(" 10")
    assert seen(code, own_session=False) == here.read_text("ascii").strip()

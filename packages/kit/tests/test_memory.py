import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone keeps so much")

FREED = """
from pathlib import Path
from chammal_kit.memory import give_back_what_is_free

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

give_back_what_is_free()
bytes(30 << 20)
before = resident()
pieces = [bytes(64 << 10) for _ in range(800)]
del pieces
print(resident() - before)
"""


def test_what_one_large_answer_took_is_not_kept() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8 << 20

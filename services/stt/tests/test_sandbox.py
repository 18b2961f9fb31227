import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="macOS has the resource limits alone")

INSIDE = """
import _thread, ctypes, os, socket, sys
from chammal_stt import sandbox
mine = os.open("/etc/hostname", os.O_RDONLY)
active = sandbox.enter(1 << 30, 1 << 20)
try:
    {attempt}
except (OSError, MemoryError, RuntimeError) as error:
    print("refused", *active)
else:
    print("allowed", *active)
"""

ATTEMPTS = {
    "open a file": "open('/etc/passwd')",
    "list a directory": "os.listdir('/')",
    "make a file": "open('/tmp/chammal-sandbox-test', 'w')",
    "open a TCP socket": "socket.socket()",
    "open a UDP socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "open a Unix socket": "socket.socket(socket.AF_UNIX)",
    "fork": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "start a thread": "_thread.start_new_thread(print, ())",
    "signal a process": "os.kill(os.getppid(), 0)",
    "take memory past the limit": "bytearray(2 << 30)",
}


def run(attempt: str) -> str:
    source = INSIDE.format(attempt=attempt)
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_the_sandbox_refuses_to(attempt: str) -> None:
    verdict, *active = run(attempt).split()
    if not {"seccomp", "landlock_files"} & set(active):
        pytest.skip(f"this kernel offers {active} alone")
    assert verdict == "refused"


def test_what_was_open_before_can_still_be_read() -> None:
    assert run("os.read(mine, 1)").startswith("allowed")


LITTLE = """
import io, os, resource, sys
from chammal_stt import decoder_process, media, sandbox
recording = open(sys.argv[1], "rb").read()
target = os.open(os.devnull, os.O_WRONLY)
statm = open("/proc/self/statm")
decoder_process._try_one_second()
pages = int(statm.read().split()[0])
sandbox.enter(pages * resource.getpagesize() + int(sys.argv[2]), 1 << 30)
print(media.decode(io.BytesIO(recording), target, 1 << 30, split=True).outcome)
"""


@pytest.mark.parametrize(("spare", "outcomes"), [(1 << 20, {"too_costly"}), (64 << 20, {"ok"})])
def test_detector_and_resampler_work_inside_and_say_when_memory_runs_out(
    audio: Path, spare: int, outcomes: set[str]
) -> None:
    command = [sys.executable, "-c", LITTLE, str(audio / "ko_call_two_channel_8k.wav"), str(spare)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() in outcomes, done.stderr

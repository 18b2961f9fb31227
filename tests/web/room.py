"""A loudspeaker that goes nowhere: a PulseAudio of its own. Firefox moves no sound at all where there is none."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.web.opened import PATIENCE

PULSEAUDIO = shutil.which("pulseaudio")
FLAGS = ("-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes")


@contextmanager
def loudspeaker(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of who has it."""
    assert PULSEAUDIO is not None
    socket = folder / "sound"
    modules = ["module-null-sink", f"module-native-protocol-unix socket={socket} auth-anonymous=1"]
    process = subprocess.Popen(
        [PULSEAUDIO, *FLAGS, *(f"--load={module}" for module in modules)], stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE
        while not socket.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)  # it tells nobody
        yield os.environ | {"PULSE_SERVER": f"unix:{socket}"}
    finally:
        process.terminate()
        process.wait(PATIENCE)

"""Those who compute yield to those who answer: a refusal has to leave in milliseconds while models keep cores busy."""

import contextlib
import os
import sys
from pathlib import Path

COMPUTING = 10
"""The nice value of what runs models."""


def give_way(pid: int = 0, nice: int = COMPUTING) -> None:
    """A process, 0 for this one, and all that it starts. Its session too, where it is a session of its own: Linux may
    weigh sessions before processes."""
    _yield(pid, nice)
    session_gives_way(pid, nice)


def thread_gives_way(nice: int = COMPUTING) -> None:
    """This thread and those that it starts. Nothing but on Linux: elsewhere it would be the whole process."""
    if sys.platform == "linux":
        _yield(0, nice)


def _yield(pid: int, nice: int) -> None:
    """Never less than whoever started it told it to: root may raise a priority, and would."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, max(nice, os.getpriority(os.PRIO_PROCESS, pid)))


def session_gives_way(pid: int = 0, nice: int = COMPUTING) -> None:
    """Nothing where the session is somebody else's, such as a terminal's."""
    with contextlib.suppress(OSError):
        leader = pid or os.getpid()
        if os.getsid(leader) == leader:
            Path(f"/proc/{leader}/autogroup").write_text(str(nice), "ascii")

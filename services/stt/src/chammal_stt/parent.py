"""A worker does not outlive the web process, even when it is stopped or deep in a job."""

import ctypes
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1


def end_with_parent() -> None:
    """On Linux the kernel sees to it. Elsewhere a worker ends when it next uses the socket."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)

"""Gives memory back to the system once it is free."""

import ctypes
import platform

M_TRIM_THRESHOLD = -1
"""Of mallopt(3)."""
KEPT_BYTES = 1 << 20


def give_back_what_is_free() -> None:
    """For processes that answer and hold no model. By itself glibc keeps at the end of its heap twice the largest block
    that was ever freed, up to 64 MiB: one answer that was far too large would be remembered for good. Nothing elsewhere
    than on glibc."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)

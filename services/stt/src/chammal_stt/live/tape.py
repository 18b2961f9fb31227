"""The samples of one utterance, in a file without a name that a recogniser can read."""

import os
import tempfile


class Tape:
    """Signed 16-bit samples at 16 kHz."""

    def __init__(self) -> None:
        self.descriptor = _open()

    def append(self, samples: bytes) -> None:
        """Raises OSError when there is no room."""
        rest = memoryview(samples)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _open() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("chammal-utterance", os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp(prefix="chammal-")
    os.unlink(path)  # noqa: PTH108
    return descriptor

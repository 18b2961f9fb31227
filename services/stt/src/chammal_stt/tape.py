"""The samples of one utterance, in a file without a name that a recogniser can read."""

import os
import tempfile


class Tape:
    """Signed 16-bit samples at 16 kHz. `first` is the stream's sample that the file begins with."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.size = 0
        """Bytes."""
        self.descriptor = _open()

    def append(self, samples: bytes | memoryview) -> None:
        """Raises OSError when there is no room."""
        while samples:
            written = os.write(self.descriptor, samples)
            self.size += written
            samples = samples[written:]

    def read(self, offset: int) -> bytes:
        """From a byte to the end."""
        return os.pread(self.descriptor, self.size - offset, offset)

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

"""Where decoded samples go: to a file, to the speech detector, and to the scales."""

import errno
import os

import numpy as np
import numpy.typing as npt

from chammal_stt.activity import ActivityMeter
from chammal_stt.dual_mono import DualMono
from chammal_stt.messages import SPEECH_FRAME, ChannelActivity

_WRITTEN_SAMPLES = 32 * SPEECH_FRAME


class TooLong(Exception):
    pass


class WriteFailed(Exception):
    """`full` when there is no room left; else past the limit of what one file may take."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.full = error.errno in (errno.ENOSPC, errno.EDQUOT)


class Sink:
    """Writes, counts and listens."""

    def __init__(self, descriptor: int, max_samples: int) -> None:
        self._descriptor = descriptor
        self._max_samples = max_samples
        self._pending: list[npt.NDArray[np.int16]] = []
        self._waiting = 0
        self._meters: list[ActivityMeter] = []
        self._likeness = DualMono()
        self.samples = 0
        """Of one channel."""
        self.channels = 0
        """0 until the first frame tells."""

    def open(self, channels: int) -> None:
        self.channels = channels
        self._meters = [ActivityMeter() for _ in range(channels)]

    def write(self, samples: npt.NDArray[np.int16]) -> None:
        self.samples += len(samples)
        if self.samples > self._max_samples:
            raise TooLong
        self._pending.append(samples)
        self._waiting += len(samples)
        if self._waiting >= _WRITTEN_SAMPLES:
            self._flush(self._waiting - self._waiting % SPEECH_FRAME)

    def close(self) -> None:
        if self._waiting:
            self._flush(self._waiting)

    def activity(self) -> list[ChannelActivity]:
        return [meter.activity() for meter in self._meters]

    def dual_mono(self) -> bool:
        return self.channels == 2 and self._likeness.verdict()

    def _flush(self, count: int) -> None:
        waiting = np.concatenate(self._pending)
        self._pending = [waiting[count:].copy()]
        self._waiting -= count
        for at in range(0, count, _WRITTEN_SAMPLES):
            self._take(np.ascontiguousarray(waiting[at : min(count, at + _WRITTEN_SAMPLES)]))

    def _take(self, samples: npt.NDArray[np.int16]) -> None:
        view = memoryview(samples.data).cast("B")
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                raise WriteFailed(error) from error
        columns = np.ascontiguousarray(samples.T)
        for meter, column in zip(self._meters, columns, strict=True):
            meter.feed(column)
        if self.channels == 2:
            self._likeness.feed(*columns)

"""Recordings as files, named by what they hold. They are whole or not there."""

import fcntl
import os
import re
import threading
from collections.abc import AsyncIterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from chammal_api.calls.incoming import Incoming, storage_full, sync_folder
from chammal_contracts.calls import Recording

_SHA256 = re.compile("[0-9a-f]{64}")
_INCOMING = "incoming"


class Recordings:
    """Several processes may share the folder. What is being written is locked; what a dead process wrote is not."""

    def __init__(self, folder: Path, *, max_stored_bytes: int = 0, min_free_bytes: int = 256 << 20) -> None:
        """`max_stored_bytes`: of all recordings together; 0: as the disk allows. `min_free_bytes` stay free on it."""
        self._folder = folder
        self._max_stored = max_stored_bytes
        self._min_free = min_free_bytes
        self._stored = 0
        self._coming = 0
        self._lock = threading.Lock()

    async def start(self) -> None:
        """Makes the folder, takes away what killed processes left half-written, and counts what is there."""
        await to_thread.run_sync(self._start)

    def coming(self, max_bytes: int, *, expected_bytes: int = 0, filename: str | None = None) -> Incoming:
        """To be closed in any case. Raises Problem 413."""
        return Incoming(self, max_bytes, expected_bytes=expected_bytes, filename=filename)

    async def keep(
        self,
        source: AsyncIterable[bytes] | BinaryIO,
        max_bytes: int,
        *,
        expected_bytes: int = 0,
        filename: str | None = None,
    ) -> Recording:
        """Raises Problem: 400 audio_empty, 413 upload_too_large, 507 storage_full; then nothing is left of it."""
        with closing(self.coming(max_bytes, expected_bytes=expected_bytes)) as incoming:
            if isinstance(source, AsyncIterable):
                async for piece in source:
                    await incoming.take([piece])
            else:
                await incoming.take_file(source)
            return await incoming.keep(filename)

    def path(self, recording: Recording) -> Path:
        return self.place(recording.sha256)

    def place(self, sha256: str) -> Path:
        """Raises ValueError for what is no digest."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError("not a digest")
        return self._folder / sha256[:2] / sha256

    def has(self, recording: Recording) -> bool:
        return self.path(recording).is_file()

    def open(self, recording: Recording) -> BinaryIO:
        """Raises FileNotFoundError."""
        return self.path(recording).open("rb")

    async def delete(self, recording: Recording) -> None:
        """Whether no call needs it any more is the caller's to know: see retention.erase. Raises OSError."""
        await to_thread.run_sync(self.remove, recording)

    def remove(self, recording: Recording) -> None:
        """`delete`, for a thread. Raises OSError."""
        path = self.path(recording)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)
        with self._lock:
            self._stored -= size

    def recount(self) -> None:
        """Other processes keep and delete here too."""
        stored = sum(recording.bytes for recording in self.older_than(float("inf")))
        with self._lock:
            self._stored = stored

    def older_than(self, moment: float) -> Iterator[Recording]:
        """Every recording on disk that was kept before `moment` (seconds since 1970)."""
        for path in self._folder.glob("??/*"):
            if _SHA256.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    status = path.stat()
                    if status.st_mtime < moment:
                        yield Recording(sha256=path.name, bytes=status.st_size)

    @property
    def incoming(self) -> Path:
        return self._folder / _INCOMING

    def _start(self) -> None:
        self.incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self.incoming.iterdir():
            _sweep(path)
        self.recount()

    def make_room(self, more: int) -> None:
        """Reserves `more` bytes. Raises Problem 507."""
        disk = os.statvfs(self._folder)
        with self._lock:
            full = self._max_stored and self._stored + self._coming + more > self._max_stored
            if full or disk.f_bavail * disk.f_frsize - self._min_free < self._coming + more:
                raise storage_full()
            self._coming += more

    def written(self, size: int, *, stored: int = 0) -> None:
        """Gives back a reservation, with what became of it."""
        with self._lock:
            self._coming -= size
            self._stored += stored


def _sweep(path: Path) -> None:
    """Takes away what nobody writes any more: its writer's lock ended with it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink(missing_ok=True)

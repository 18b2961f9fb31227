"""Recordings as files, named by what they hold. They are whole or not there."""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import threading
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from chammal_contracts.calls import Recording
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

_SHA256 = re.compile("[0-9a-f]{64}")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_SLICE = 1 << 20
"""Bytes that are hashed and written at a time."""
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

    async def keep(
        self,
        source: AsyncIterable[bytes] | BinaryIO,
        max_bytes: int,
        *,
        expected_bytes: int = 0,
        media_type: str | None = None,
        filename: str | None = None,
    ) -> Recording:
        """Raises Problem: 400 audio_empty, 413 upload_too_large, 507 storage_full; then nothing is left of it."""
        writing = await to_thread.run_sync(_Writing, self, max_bytes, expected_bytes)
        try:
            if isinstance(source, AsyncIterable):
                await _pour(source, writing)
            else:
                await to_thread.run_sync(writing.take_all, source)
            sha256, size = await to_thread.run_sync(writing.finish)
        finally:
            writing.close()
        return Recording(sha256=sha256, bytes=size, media_type=media_type, filename=filename)

    def path(self, recording: Recording) -> Path:
        """Raises ValueError for what is no digest."""
        if not _SHA256.fullmatch(recording.sha256):
            raise ValueError("not a digest")
        return self._folder / recording.sha256[:2] / recording.sha256

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
        _sync_folder(path.parent)
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


class _Writing:
    """One recording on its way in."""

    def __init__(self, recordings: Recordings, max_bytes: int, expected_bytes: int) -> None:
        if expected_bytes > max_bytes:
            raise _too_large(max_bytes)
        self._recordings = recordings
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        self._reserved = 0
        self._placed = 0
        self._reserve(expected_bytes)
        try:
            self._path, self._file = _new_file(recordings.incoming)
        except BaseException:
            recordings.written(self._reserved)
            raise

    def take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            raise _too_large(self._max_bytes)
        if self._size > self._reserved:
            self._reserve(max(len(data), _SLICE))
        self._digest.update(data)
        with _full_disk():
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]

    def take_all(self, source: BinaryIO) -> None:
        while data := source.read(_SLICE):
            self.take(data)

    def finish(self) -> tuple[str, int]:
        """Puts it into its place, for good. Gives its digest and its size."""
        if not self._size:
            raise Problem(400, ErrorCode.AUDIO_EMPTY, "The recording is empty (0 bytes).")
        recording = Recording(sha256=self._digest.hexdigest(), bytes=self._size)
        target = self._recordings.path(recording)
        with _full_disk():
            os.fsync(self._file.fileno())
            made = not target.parent.exists()
            target.parent.mkdir(exist_ok=True, mode=0o700)
            self._placed = 0 if target.exists() else self._size
            self._path.replace(target)
            _sync_folder(target.parent)
            if made:
                _sync_folder(target.parent.parent)
        return recording.sha256, self._size

    def close(self) -> None:
        """Nothing is left of what was not finished."""
        self._path.unlink(missing_ok=True)
        self._file.close()
        self._recordings.written(self._reserved, stored=self._placed)

    def _reserve(self, more: int) -> None:
        self._recordings.make_room(more)
        self._reserved += more


def _new_file(folder: Path) -> tuple[Path, FileIO]:
    with _full_disk():
        while True:
            path = folder / secrets.token_hex(16)
            file = FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w")
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:  # not swept between the two
                return path, file
            file.close()


async def _pour(source: AsyncIterable[bytes], writing: _Writing) -> None:
    waiting: list[bytes] = []
    size = 0
    async for data in source:
        waiting.append(data)
        size += len(data)
        if size >= _SLICE:
            await to_thread.run_sync(writing.take, b"".join(waiting))
            waiting, size = [], 0
    if waiting:
        await to_thread.run_sync(writing.take, b"".join(waiting))


def storage_full() -> Problem:
    detail = "There is no room for the recording. An operator must make some, or let calls be kept for a shorter time."
    return Problem(507, ErrorCode.STORAGE_FULL, detail, headers={"Retry-After": "30"})


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, ErrorCode.UPLOAD_TOO_LARGE, f"The recording is larger than {max_bytes:,} bytes.")


@contextmanager
def _full_disk() -> Iterator[None]:
    """The disk may fill up between the look at it and the write."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise storage_full() from error


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


def _sync_folder(folder: Path) -> None:
    """A file's name is on disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

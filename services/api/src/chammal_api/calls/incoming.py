"""A recording on its way in: hashed and written as it comes, and none of the recordings until it is kept."""

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Protocol

from anyio import to_thread

from chammal_api.calls.audio import HEAD_BYTES, recognised
from chammal_contracts.calls import Recording
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_SLICE = 1 << 20
"""Bytes that are hashed and written at a time."""
_PIECES = 256
"""Or so many pieces, however small: each costs memory of its own."""


class Shelf(Protocol):
    """Where recordings are kept."""

    @property
    def incoming(self) -> Path: ...
    def place(self, sha256: str) -> Path: ...
    def make_room(self, more: int) -> None: ...
    def written(self, size: int, *, stored: int = 0) -> None: ...


class Incoming:
    """Used by one task; what waits for the disk is done in a thread. Nothing is left of one that was closed unkept."""

    def __init__(self, shelf: Shelf, max_bytes: int, *, expected_bytes: int = 0, filename: str | None = None) -> None:
        """`filename` as it was sent. Raises Problem 413."""
        if expected_bytes > max_bytes:
            raise too_large(max_bytes)
        self.filename = filename
        self.size = 0
        self._shelf = shelf
        self._max_bytes = max_bytes
        self._expected = expected_bytes
        self._head = b""
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0
        self._digest = hashlib.sha256()
        self._reserved = 0
        self._path: Path | None = None
        self._file: FileIO | None = None

    async def take(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Raises Problem: 413 upload_too_large, 507 storage_full."""
        for piece in pieces:
            self._hold(piece)
        if self._waiting_bytes >= _SLICE or len(self._waiting) >= _PIECES:
            await to_thread.run_sync(self._write)

    async def take_file(self, file: BinaryIO) -> None:
        """Raises Problem as `take` does."""

        def run() -> None:
            while piece := file.read(_SLICE):
                self._hold(piece)
                self._write()

        await to_thread.run_sync(run)

    async def keep(self, filename: str | None = None) -> Recording:
        """Puts it into its place, for good; once more, where it was deleted since with another call.

        Raises Problem: 400 audio_empty, 507 storage_full.
        """
        if not self.size:
            raise empty()
        sha256 = await to_thread.run_sync(self._finish)
        return Recording(sha256=sha256, bytes=self.size, media_type=recognised(self._head), filename=filename)

    def close(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None
        if self._file is not None:
            self._file.close()
        self._give_back()

    def _hold(self, piece: bytes | memoryview) -> None:
        self.size += len(piece)
        if self.size > self._max_bytes:
            raise too_large(self._max_bytes)
        if len(self._head) < HEAD_BYTES:
            self._head += bytes(piece[: HEAD_BYTES - len(self._head)])
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)

    def _write(self) -> None:
        file = self._file or self._open()
        self._reserve(self._waiting_bytes)
        for piece in self._waiting:
            self._digest.update(piece)
            _write_all(file, piece)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _open(self) -> FileIO:
        """All that is expected must have room now. It is reserved as it comes: who says much may send little."""
        self._shelf.make_room(self._expected)
        self._shelf.written(self._expected)
        self._path, self._file = _new_file(self._shelf.incoming)
        return self._file

    def _reserve(self, more: int) -> None:
        self._shelf.make_room(more)
        self._reserved += more

    def _finish(self) -> str:
        if self._waiting:
            self._write()
        elif self._path is None and self._file is not None:
            self._write_again(self._file)
        sha256 = self._digest.hexdigest()
        target = self._shelf.place(sha256)
        assert self._file is not None  # noqa: S101
        assert self._path is not None  # noqa: S101
        with full_disk():
            os.fsync(self._file.fileno())
            made = not target.parent.exists()
            target.parent.mkdir(exist_ok=True, mode=0o700)
            new = not target.exists()
            self._path.replace(target)
            self._path = None
            sync_folder(target.parent)
            if made:
                sync_folder(target.parent.parent)
        self._give_back(stored=self.size if new else 0)
        return sha256

    def _write_again(self, old: FileIO) -> None:
        with old:
            file = self._open()
            self._reserve(self.size)
            old.seek(0)
            while piece := old.read(_SLICE):
                _write_all(file, piece)

    def _give_back(self, *, stored: int = 0) -> None:
        self._shelf.written(self._reserved, stored=stored)
        self._reserved = 0


def _new_file(folder: Path) -> tuple[Path, FileIO]:
    with full_disk():
        while True:
            path = folder / secrets.token_hex(16)
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "r+")
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:  # not swept between the two
                return path, file
            file.close()


def _write_all(file: FileIO, piece: bytes | memoryview) -> None:
    left = memoryview(piece)
    with full_disk():
        while left:
            left = left[file.write(left) :]


def empty() -> Problem:
    return Problem(400, ErrorCode.AUDIO_EMPTY, "The recording is empty (0 bytes).")


def too_large(most: int) -> Problem:
    detail = f"The recording is larger than {most:,} bytes (CHAMMAL_API_MAX_UPLOAD_BYTES). Split it, or compress it."
    return Problem(413, ErrorCode.UPLOAD_TOO_LARGE, detail)


def storage_full() -> Problem:
    detail = "There is no room for the recording. An operator must make some, or let calls be kept for a shorter time."
    return Problem(507, ErrorCode.STORAGE_FULL, detail, headers={"Retry-After": "30"})


@contextmanager
def full_disk() -> Iterator[None]:
    """The disk may fill up between the look at it and the write."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise storage_full() from error


def sync_folder(folder: Path) -> None:
    """A file's name is on disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

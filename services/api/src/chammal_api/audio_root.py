"""`file_path` names a recording below one configured folder, and nothing else."""

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

_NO_LINKS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_recording(root: Path, file_path: str) -> BinaryIO:
    """The regular file `file_path` below `root`, symbolic links followed as long as they stay there.

    Links are resolved first. The file is then opened step by step from the root without following any, so that nothing
    can be put in between. Raises Problem: 400 path_not_allowed when it leads elsewhere, 404 file_not_found when no
    regular file is there or it may not be read.
    """
    base, parts = _below(root, file_path)
    try:
        return os.fdopen(_open(base, parts), "rb")
    except OSError:
        detail = f"No recording named {file_path!r} lies below the audio root."
        raise Problem(404, ErrorCode.FILE_NOT_FOUND, detail) from None


def _below(root: Path, file_path: str) -> tuple[Path, tuple[str, ...]]:
    if "\0" in file_path:
        raise _not_allowed()
    try:
        base = root.resolve()
        path = (base / file_path).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, a character that no path has
        raise _not_allowed() from None
    if not path.is_relative_to(base):
        raise _not_allowed()
    return base, path.relative_to(base).parts


def _open(base: Path, parts: tuple[str, ...]) -> int:
    """Raises OSError."""
    if not parts:
        raise IsADirectoryError
    with ExitStack() as folders:
        folder = os.open(base, _NO_LINKS | os.O_DIRECTORY)
        folders.callback(os.close, folder)
        for name in parts[:-1]:
            folder = os.open(name, _NO_LINKS | os.O_DIRECTORY, dir_fd=folder)
            folders.callback(os.close, folder)
        _check_regular(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False))  # opening a device can do something
        file = os.open(parts[-1], _NO_LINKS | os.O_NONBLOCK, dir_fd=folder)  # and opening a pipe can wait for ever
    try:
        _check_regular(os.fstat(file))
    except OSError:
        os.close(file)
        raise
    return file


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError


def _not_allowed() -> Problem:
    return Problem(
        400,
        ErrorCode.PATH_NOT_ALLOWED,
        "file_path must name a file below the audio root (CHAMMAL_API_AUDIO_ROOT). Or upload it as `file`.",
    )

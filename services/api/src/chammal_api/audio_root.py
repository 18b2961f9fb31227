"""`file_path` names a recording below one configured folder, and nothing else."""

import stat
from pathlib import Path

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem


def confine(root: Path, file_path: str) -> Path:
    """The real path of `file_path` below `root`, symbolic links followed.

    Raises Problem: 400 path_not_allowed when it leads elsewhere, 404 file_not_found when no regular file is there.
    """
    if "\0" in file_path:
        raise _not_allowed()
    try:
        base = root.resolve()
        path = (base / file_path).resolve()
    except (OSError, RuntimeError):  # a loop of links
        raise _not_allowed() from None
    if not path.is_relative_to(base):
        raise _not_allowed()
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        regular = False
    if not regular:
        raise Problem(404, ErrorCode.FILE_NOT_FOUND, f"No recording named {file_path!r} lies below the audio root.")
    return path


def _not_allowed() -> Problem:
    return Problem(
        400,
        ErrorCode.PATH_NOT_ALLOWED,
        "file_path must name a file below the audio root (CHAMMAL_API_AUDIO_ROOT). Or upload it as `file`.",
    )

"""Which recordings were meant, and what each is told apart by."""

import glob
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from chammal_contracts.calls import CallMetadata

SUFFIXES = frozenset(
    [
        ".wav",
        ".mp3",
        ".m4a",
        ".mp4",
        ".aac",
        ".ogg",
        ".oga",
        ".opus",
        ".flac",
        ".webm",
        ".mkv",
        ".mov",
        ".aiff",
        ".aif",
        ".amr",
    ]  # what stt decodes
)


class NothingFound(Exception):
    pass


def find_recordings(named: Iterable[str]) -> list[Path]:
    """Files as they are named; recordings below folders; what patterns match. Raises NothingFound."""
    found: dict[Path, None] = {}
    for name in named:
        paths = [path for path in _paths(name) if path.is_file()]
        if not paths:
            raise NothingFound(f"There is no recording at {name}")
        found |= dict.fromkeys(paths)
    return list(found)


def _paths(name: str) -> Iterator[Path]:
    path = Path(name)
    if path.is_dir():
        yield from sorted(below for below in path.rglob("*") if below.suffix.lower() in SUFFIXES)
    elif path.exists():
        yield path
    else:
        yield from (Path(match) for match in sorted(glob.glob(name, recursive=True)))  # noqa: PTH207


def key_of(recording: Path, metadata: CallMetadata) -> str:
    """The same for the same content and metadata, whatever the file is called."""
    with recording.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    digest.update(metadata.model_dump_json().encode())
    return f"cli-{digest.hexdigest()}"

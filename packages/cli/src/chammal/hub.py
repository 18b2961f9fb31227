"""The model hub, through its own client's parts. HF_ENDPOINT and the machine's proxies are respected by it.

`hf_hub_download` of this client keeps nothing of an interrupted download, so the loop around its `http_get` is ours.
"""

import shutil
from pathlib import Path
from typing import Any, Self

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import HfFileMetadata, http_get

from chammal.sources import Meter, SourceError
from chammal_kit.models import HubCacheSettings, Model, ModelFile, digest, hub_snapshot

CONNECT_SECONDS = 5.0
"""How long the hub may take to say what a file is before the next source is tried."""


class Hub:
    name = "model hub"

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = endpoint
        self._unreachable: SourceError | None = None

    def has(self, model: Model, file: ModelFile) -> bool:
        return model.source is not None and file.hub is not None

    def fetch(self, model: Model, file: ModelFile, destination: Path, meter: Meter) -> None:
        if self._unreachable is not None:
            raise self._unreachable
        metadata = self._metadata(model, file)
        if metadata.size is not None and metadata.size != file.size:
            raise SourceError(self.name, f"{file.hub} has {metadata.size} bytes there, {file.size} are pinned")
        have = destination.stat().st_size if destination.exists() else 0
        if have > file.size:
            destination.unlink()
            meter.advance(-have)
            have = 0
        try:
            with destination.open("r+b" if have else "wb") as stream:
                stream.seek(have)
                http_get(
                    metadata.location,
                    stream,
                    resume_size=have,
                    expected_size=file.size,
                    tqdm_class=_meter_class(meter),
                )
        except (httpx2.HTTPError, OSError) as error:
            raise SourceError(self.name, f"{file.hub} broke off: {_cause(error)}") from error

    def _metadata(self, model: Model, file: ModelFile) -> HfFileMetadata:
        assert model.source is not None  # noqa: S101  has() was asked
        assert file.hub is not None  # noqa: S101
        url = hf_hub_url(model.source.repo, file.hub, revision=model.source.revision, endpoint=self.endpoint)
        try:
            return get_hf_file_metadata(url, token=False, timeout=CONNECT_SECONDS, endpoint=self.endpoint)
        except HfHubHTTPError as error:
            status = error.response.status_code
            raise SourceError(self.name, f"{model.source.repo}/{file.hub} answered {status}") from error
        except (httpx2.HTTPError, OSError) as error:
            self._unreachable = SourceError(self.name, f"cannot be reached ({_cause(error)})")
            raise self._unreachable from error


class HubCache:
    """What the hub's own client has downloaded before. No network."""

    name = "hub cache"

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or HubCacheSettings().folder

    def has(self, model: Model, file: ModelFile) -> bool:
        cached = self._path(model, file)
        return cached is not None and cached.is_file() and cached.stat().st_size == file.size

    def fetch(self, model: Model, file: ModelFile, destination: Path, meter: Meter) -> None:
        cached = self._path(model, file)
        assert cached is not None  # noqa: S101  has() was asked
        if digest(cached) != file.sha256:
            raise SourceError(self.name, f"{cached} does not have the pinned sha256")
        dropped = destination.stat().st_size if destination.exists() else 0
        shutil.copyfile(cached, destination)
        meter.advance(file.size - dropped)

    def _path(self, model: Model, file: ModelFile) -> Path | None:
        snapshot = hub_snapshot(model, self.folder)
        return snapshot / file.hub if snapshot is not None and file.hub is not None else None


def _cause(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def _meter_class(meter: Meter) -> type[Any]:
    """The hub's client wants a class that looks like tqdm; this one counts into our meter."""

    class Bar:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: int) -> None:
            meter.advance(count)

    return Bar

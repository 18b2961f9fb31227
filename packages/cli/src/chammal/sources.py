"""Where model files come from. A source brings bytes; whether they are the right ones is judged in `fetch`."""

from pathlib import Path
from typing import Protocol

from chammal_kit.models import Model, ModelFile


class SourceError(Exception):
    """This source cannot bring the file: it is out of reach, has it not, or has other bytes."""

    def __init__(self, source: str, cause: str) -> None:
        super().__init__(f"{source}: {cause}")
        self.source = source
        self.cause = cause


class Meter(Protocol):
    """Counts bytes of one model. `advance` takes a negative number when bytes had to be thrown away."""

    def advance(self, count: int) -> None: ...


class Source(Protocol):
    name: str

    def has(self, model: Model, file: ModelFile) -> bool:
        """Whether the manifest names this source for the file."""

    def fetch(self, model: Model, file: ModelFile, destination: Path, meter: Meter) -> None:
        """Writes the file, going on from what `destination` holds already. Raises SourceError."""

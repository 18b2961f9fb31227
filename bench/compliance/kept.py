"""What took long to get, kept in a file between runs: what was heard of a call, what a model said of it."""

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """By id of call. Without a path it is kept for this run alone."""

    def __init__(self, path: Path | None, kind: TypeAdapter[dict[str, Value]]) -> None:
        self._path, self._kind = path, kind
        self.calls: dict[str, Value] = kind.validate_json(path.read_bytes()) if path and path.exists() else {}

    def keep(self, call: str, value: Value) -> None:
        self.calls[call] = value
        if self._path is not None:
            self._path.write_bytes(self._kind.dump_json(self.calls))

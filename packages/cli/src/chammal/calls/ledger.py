"""Which recordings were sent, and as which calls: a line for each, so that a batch goes on where it was interrupted."""

import json
from pathlib import Path

DEFAULT = Path(".chammal-calls.jsonl")


class Ledger:
    """Losing the file loses nothing but time: recordings are sent again, and are the same calls."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url
        self._calls: dict[str, str] = {}
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        for line in lines:
            self._read(line)

    def call_of(self, key: str) -> str | None:
        return self._calls.get(key)

    def keep(self, key: str, call_id: str) -> None:
        if self._calls.get(key) == call_id:
            return
        self._calls[key] = call_id
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"url": self._url, "key": key, "call": call_id}) + "\n")

    def forget(self, key: str) -> None:
        """The call is gone from the api; a newer line takes the place of this one."""
        self._calls.pop(key, None)

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            url, key, call = entry["url"], entry["key"], entry["call"]
        except (ValueError, TypeError, KeyError):
            return  # the last line of a process that was killed
        if url == self._url and isinstance(key, str) and isinstance(call, str):
            self._calls[key] = call

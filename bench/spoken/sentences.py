"""What is spoken, and what may be heard."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from bench.stt.score import Score, characters, words

_CHOICE = re.compile(r"\{([^{}]*)\}")
_TABLES = {"ko": "korean", "en": "english"}


@dataclass(frozen=True)
class Sentence:
    text: str
    language: str
    heard: tuple[str, ...]
    """Every transcript without a mistake."""

    def score(self, heard: str) -> Score:
        """Against the transcript that is nearest."""
        measure = characters if self.language == "ko" else words
        return min((measure(said, heard) for said in self.heard), key=lambda score: score.rate)


def read(name: str, language: str) -> list[Sentence]:
    """Those of `name`.toml beside this module."""
    rows = tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))[_TABLES[language]]
    return [Sentence(row["text"], language, tuple(_spellings(row.get("heard", row["text"])))) for row in rows]


def _spellings(pattern: str) -> Iterator[str]:
    """`{a|b}` is either."""
    parts = _CHOICE.split(pattern)
    for choice in product(*(part.split("|") if place % 2 else [part] for place, part in enumerate(parts))):
        yield "".join(choice)

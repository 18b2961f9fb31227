"""How often the end of a clause is read rightly, on the sentences of the labelled calls.

A sentence that is whole should not be waited after; one that is cut where its writer put a comma should. Both are
read without their marks, since a recogniser writes a full stop after either.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from bench.stt.sides import ROOT

from chammal_api.realtime.clauses import Ending, ending

CALLS = ROOT / "bench" / "compliance" / "calls"
HELD = ("blind_c.yaml",)
"""Not looked at when the lists of endings were written."""
CLAUSE_WORDS = 4
_LINE = re.compile(r"^\s*[AC]:\s*(.+?)\s*(?:\{[^}]*\}\s*)?$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.?!])\s+")


@dataclass(frozen=True)
class Read:
    says: str
    count: int
    shares: dict[Ending, float]


def measure() -> list[Read]:
    return [
        read
        for name, held in (("seen", False), ("held back", True))
        for sentences in (sorted({one for path in files(held) for one in sentences_of(path)}),)
        for read in (
            _read(f"whole sentences, {name}", [f"{one.rstrip('.?!…')}." for one in sentences]),
            _read(
                f"cut at a comma after {CLAUSE_WORDS} words or more, {name}",
                [f"{start}." for one in sentences for start in _starts(one)],
            ),
        )
    ]


def files(held: bool) -> list[Path]:
    return [path for path in sorted(CALLS.glob("*.yaml")) if (path.name in HELD) is held]


def sentences_of(path: Path) -> Iterator[str]:
    for call in yaml.safe_load(path.read_text(encoding="utf-8")):
        for line in _LINE.findall(call["said"]):
            yield from filter(None, _SENTENCE.split(line))


def _starts(sentence: str) -> Iterator[str]:
    """Clauses, not "네," and whoever is addressed."""
    begun = 0
    for comma in re.finditer(",", sentence):
        if len(sentence[begun : comma.start()].split()) >= CLAUSE_WORDS:
            yield sentence[: comma.start()]
        begun = comma.end()


def _read(says: str, texts: list[str]) -> Read:
    counts = Counter(ending(text, "ko") for text in texts)
    return Read(says, len(texts), {how: counts[how] / len(texts) for how in Ending})

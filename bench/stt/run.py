"""One run: which sides take part, how often, and where they come from."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.stt.sides import Side, SideMissing

PEERS = ("fws", "cpp", "wyoming")


@dataclass
class Run:
    """Sides start when a measure first asks for them, and live to the end: idle ones cost nothing."""

    makers: dict[str, Callable[[], Side]]
    rounds: int
    quick: bool
    model: Path
    threads: int
    missing: dict[str, str] = field(default_factory=dict)
    started: dict[str, Side] = field(default_factory=dict)

    def sides(self, *keys: str) -> dict[str, Side]:
        """Those that run here, in this order."""
        for key in keys:
            if key in self.makers and key not in self.started and key not in self.missing:
                self._start(key)
        return {key: self.started[key] for key in keys if key in self.started}

    def peers(self, keys: Iterable[str]) -> list[str]:
        return [key for key in keys if key in PEERS]

    def drop(self, sides: dict[str, Side], key: str, error: Exception) -> None:
        """A peer that fails leaves the run, and is said to be missing. Anybody else's failure ends the measure."""
        if key not in PEERS:
            raise error
        side = sides.pop(key)
        self.started.pop(key).stop()
        self.missing[key] = f"{side.name} failed: {error!r}"
        report(self.missing[key])

    def stop(self) -> None:
        for side in self.started.values():
            side.stop()

    def _start(self, key: str) -> None:
        try:
            side = self.makers[key]()
            side.start()
        except (SideMissing, OSError) as error:
            self.missing[key] = str(error)
            report(f"{key}: {error}")
        else:
            self.started[key] = side
            report(f"{side.name} is up")


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""Markdown."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """What a measure has to reach. `value` is None where it could not be measured."""

    says: str
    value: float | None
    limit: float
    at_least: bool = False

    def line(self) -> str:
        if self.value is None:
            return f"- {self.says}: **not measured**"
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        sign = "≥" if self.at_least else "≤"
        return f"- {self.says}: {self.value:.3g} (bar {sign} {self.limit:g}): **{'met' if met else 'NOT met'}**"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median (lowest–highest)."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Median of the ratios of each round, so that a slow minute hits both sides of a fraction."""
    return statistics.median(value / other for value, other in zip(values, base, strict=True))

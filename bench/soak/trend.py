"""Does it grow? A line through the samples, and how sure its slope is."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trend:
    mean: float
    per_hour: float
    error: float
    """Half the width of the 95 % confidence interval of `per_hour`."""

    def grows(self, tolerated: float) -> bool:
        """By more than `tolerated` an hour, for sure."""
        return self.per_hour - self.error > tolerated


def trend(seconds: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Least squares; the error allows for samples that resemble those before them. None for too few."""
    n = len(values)
    if n < 10:
        return None
    mean_x, mean_y = sum(seconds) / n, sum(values) / n
    spread = sum((x - mean_x) ** 2 for x in seconds)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(seconds, values, strict=True)) / spread
    rest = [y - mean_y - slope * (x - mean_x) for x, y in zip(seconds, values, strict=True)]
    squares = sum(r * r for r in rest)
    likeness = sum(a * b for a, b in itertools.pairwise(rest)) / squares if squares else 0.0
    likeness = min(max(likeness, 0.0), 0.95)
    independent = max(3.0, n * (1 - likeness) / (1 + likeness))
    error = math.sqrt(squares / n * n / spread / max(1.0, independent - 2)) * _t(independent - 2)
    return Trend(mean_y, slope * 3600, error * 3600)


def _t(freedom: float) -> float:
    """Student's t for 95 %, close enough from one degree of freedom on."""
    return 1.96 + 2.4 / max(freedom, 1.0) + 8.4 / max(freedom, 1.0) ** 3

"""Does it grow? The slope that most pairs of samples agree on, and how sure it is.

Theil and Sen's: half of the pairs of samples rise more steeply, half less. A burst, such as the memory of one large
answer, moves it little, where least squares would follow it. Sen: Estimates of the Regression Coefficient Based on
Kendall's Tau (1968).
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST = 30
_FLOOR_SECONDS = 30.0
_MAX_LIKENESS = 0.95


@dataclass(frozen=True, slots=True)
class Trend:
    middle: float
    """The median."""
    per_hour: float
    low: float
    high: float
    """The 95 % confidence interval of `per_hour`."""

    def grows(self, tolerated: float) -> bool:
        """By more than `tolerated` an hour, for sure."""
        return self.low > tolerated

    def tells(self, tolerated: float) -> bool:
        """Growth of three times as much would not be taken for chance."""
        return self.high - self.low <= 6 * tolerated


def floor(points: Sequence[tuple[float, float]], every: float = _FLOOR_SECONDS) -> tuple[list[float], list[float]]:
    """Times and values of the lowest point of each `every` seconds: what is still held when the work of the moment is
    done. An answer that is being encoded has two threads; one that leaks them has them for ever."""
    lowest: dict[int, tuple[float, float]] = {}
    for seconds, value in points:
        window = int(seconds // every)
        if window not in lowest or value < lowest[window][1]:
            lowest[window] = (seconds, value)
    return [seconds for seconds, _ in lowest.values()], [value for _, value in lowest.values()]


def trend(seconds: Sequence[float], values: Sequence[float]) -> Trend | None:
    """The interval allows for samples that resemble those before them. None for too few."""
    if len(values) < _FEWEST:
        return None
    points = list(zip(seconds, values, strict=True))
    slopes = sorted((later[1] - one[1]) / (later[0] - one[0]) for one, later in itertools.combinations(points, 2))
    middle, slope = statistics.median(values), statistics.median(slopes)
    reach = round(_doubt(len(values), _likeness([y - slope * x for x, y in points])) / 2)
    low = slopes[max(0, len(slopes) // 2 - reach)]
    high = slopes[min(len(slopes) - 1, len(slopes) // 2 + reach)]
    return Trend(middle, slope * 3600, low * 3600, high * 3600)


def _doubt(n: int, likeness: float) -> float:
    """1.96 standard deviations of Kendall's sum, larger where fewer samples are independent."""
    return 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18 * (1 + likeness) / (1 - likeness))


def _likeness(rest: Sequence[float]) -> float:
    """Of each sample's rank to the rank before it, 0 to 0.95."""
    order = sorted(range(len(rest)), key=rest.__getitem__)
    ranks = [0.0] * len(rest)
    for rank, index in enumerate(order):
        ranks[index] = rank - (len(rest) - 1) / 2
    found = sum(a * b for a, b in itertools.pairwise(ranks)) / sum(rank * rank for rank in ranks)
    return min(max(found, 0.0), _MAX_LIKENESS)

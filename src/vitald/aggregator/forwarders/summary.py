"""The numbers that stand for a timer, histogram or distribution where only numbers are taken.

Count, sum, mean, minimum and maximum are exact. What needs the single samples comes from the
histogram: a rank is exact (it is a matter of counts), and the sample at a rank is within the
histogram's relative error e of the true one (0.542 % at scale 6). From that follow the bounds of
everything else, for samples of one sign: sums of a part of the samples are within e, sums of
squares within 2e + e², and the standard deviation is off by at most e times the root mean square
of the samples (moving every sample by at most e|x| moves it by no more than that).
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.aggregator.interval import Histogram, Row

Values = list[tuple[str, float]]

# A weight such as 1/0.3 is not exact in binary; a rank this close to a cell's end is inside it.
_SLACK = 1 - 1e-12


class _Samples:
    """The weighted samples of a histogram that is not empty, in ascending order."""

    def __init__(self, sketch: Histogram) -> None:
        low, high = sketch.min, sketch.max
        cells = [(min(max(value, low), high), weight) for value, weight in sketch.cells()]
        self.sketch = sketch
        self.count = sketch.count
        self._values = [value for value, _ in cells]
        self._ranks = list(accumulate(weight for _, weight in cells))
        self._sums = list(accumulate((v * w for v, w in cells), initial=0.0))
        self._squares = list(accumulate((v * v * w for v, w in cells), initial=0.0))

    def at(self, rank: float) -> float:
        """Return the sample of a rank from 1 to `count`."""
        if rank <= 1:
            return self.sketch.min
        if rank >= self.count * _SLACK:
            return self.sketch.max
        return self._values[self._cell(rank)]

    def lowest(self, count: float) -> tuple[float, float]:
        """Return the sum and the sum of squares of the `count` lowest samples."""
        if count <= 0:
            return 0.0, 0.0
        if count >= self.count * _SLACK:
            return self.sketch.sum, self._squares[-1]
        cell = self._cell(count)
        part = count - (self._ranks[cell - 1] if cell else 0.0)
        value = self._values[cell]
        return self._sums[cell] + part * value, self._squares[cell] + part * value * value

    def highest(self, count: float) -> tuple[float, float]:
        """Return the sum and the sum of squares of the `count` highest samples."""
        if count >= self.count * _SLACK:
            return self.lowest(count)
        total, squares = self.lowest(self.count - count)
        return self._sums[-1] - total, self._squares[-1] - squares

    def deviation(self) -> float:
        """Return the population's standard deviation."""
        mean = self._sums[-1] / self._ranks[-1]
        previous = 0.0
        total = 0.0
        for value, rank in zip(self._values, self._ranks, strict=True):
            total += (rank - previous) * (value - mean) * (value - mean)
            previous = rank
        return sqrt(total / previous)

    def _cell(self, rank: float) -> int:
        return min(bisect_left(self._ranks, rank * _SLACK), len(self._ranks) - 1)


def statsd_values(sketch: Histogram, seconds: float, percentiles: Sequence[float]) -> Values:
    """Return the reference StatsD server's numbers for a timer, by its names and its rounding.

    Sampled timers are weighted throughout, where that server weights `count` and `count_ps` only.
    A negative percentile stands for the top of the samples (`lower_top10`).
    """
    if not sketch.count:
        return []
    samples = _Samples(sketch)
    count = sketch.count
    total, squares = samples.lowest(count)
    values = [
        ("std", samples.deviation()),
        ("upper", sketch.max),
        ("lower", sketch.min),
        ("count", count),
        ("count_ps", count / seconds),
        ("sum", total),
        ("sum_squares", squares),
        ("mean", total / count),
        ("median", (samples.at(floor((count + 1) / 2)) + samples.at(ceil((count + 1) / 2))) / 2),
    ]
    for percentile in percentiles:
        values += _threshold(samples, percentile)
    return values


def _threshold(samples: _Samples, percentile: float) -> Values:
    count = samples.count
    # Half is rounded up, as JavaScript's Math.round does.
    kept = count if count <= 1 else min(floor(abs(percentile) / 100 * count + 0.5), count)
    if not kept:
        return []
    if percentile > 0:
        side, edge = "upper", samples.at(kept)
        total, squares = samples.lowest(kept)
    else:
        side, edge = "lower", samples.at(count - kept + 1)
        total, squares = samples.highest(kept)
    label = f"{percentile:g}".replace(".", "_").replace("-", "top")
    return [
        (f"count_{label}", kept),
        (f"mean_{label}", total / kept),
        (f"{side}_{label}", edge),
        (f"sum_{label}", total),
        (f"sum_squares_{label}", squares),
    ]


def datadog_values(sketch: Histogram, percentiles: Sequence[float]) -> Values:
    """Return the Datadog Agent's numbers for a histogram; `count` is not yet per second."""
    if not sketch.count:
        return []
    ranks = sketch.quantiles([0.5, *(percentile / 100 for percentile in percentiles)])
    names = ["median", *(f"{percentile:g}percentile" for percentile in percentiles)]
    return [
        ("avg", sketch.sum / sketch.count),
        ("count", sketch.count),
        ("max", sketch.max),
        *((name, value) for name, value in zip(names, ranks, strict=True) if value is not None),
    ]


def native_values(row: Row, seconds: float, percentiles: Sequence[float]) -> Values:
    """Return the numbers of a row of any type under the names of the metrics document."""
    sketch = row.histogram
    if sketch is None:
        return _plain_values(row, seconds)
    if not sketch.count:
        return []
    ranks = sketch.quantiles([percentile / 100 for percentile in percentiles])
    names = [f"p{percentile:g}".replace(".", "_") for percentile in percentiles]
    return [
        ("count", sketch.count),
        ("rate", sketch.count / seconds),
        ("sum", sketch.sum),
        ("min", sketch.min),
        ("max", sketch.max),
        ("mean", sketch.sum / sketch.count),
        *((name, value) for name, value in zip(names, ranks, strict=True) if value is not None),
    ]


def _plain_values(row: Row, seconds: float) -> Values:
    if row.last is not None:
        return [("last", row.last)]
    if row.unique is not None:
        return [("unique", row.unique)]
    return [("sum", row.sum), ("rate", row.sum / seconds)]

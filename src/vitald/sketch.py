"""The base-2 exponential histogram: insert, merge, quantile.

This is the data model of OpenTelemetry's exponential histogram and of Prometheus' native
histogram. At scale s, `base = 2 ** (2 ** -s)`, and bucket i holds the values in
`(base ** i, base ** (i + 1)]`. A quantile is answered with the harmonic midpoint of its bucket,
whose relative distance from every value in the bucket is at most `(base - 1) / (base + 1)`:
0.542 % at scale 6. Merging adds counts, so it is exact, commutative and associative.

Negative values have mirrored buckets; zero has its own. When a side needs more than
`MAX_BUCKETS` occupied buckets (values spread over more than nine orders of magnitude) the
histogram halves its scale step instead of growing; `scale` says so and `relative_error` follows.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate, repeat
from math import ceil, fsum, log2, pow  # noqa: A004  float powers, typed
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT_SCALE = 6
# All doubles of one sign fit into 1,049 buckets at scale -1, so no side ever needs a lower one.
MIN_SCALE = -1
MAX_BUCKETS = 2048

Buckets = dict[int, float]


class Sketch:
    """A weighted sample of floats.

    `count` and `sum` are weighted; `min` and `max` are exact (infinities of the opposite sign
    while empty). Values are finite floats in the sender's own unit.
    """

    __slots__ = ("count", "max", "min", "negative", "positive", "scale", "sum", "zero_count")

    def __init__(self, scale: int = DEFAULT_SCALE) -> None:
        self.scale = scale
        self.count = 0.0
        self.sum = 0.0
        self.min = float("inf")
        self.max = float("-inf")
        self.zero_count = 0.0
        self.positive: Buckets = {}
        self.negative: Buckets = {}

    @property
    def relative_error(self) -> float:
        """Return the bound on any quantile's relative error at the present scale."""
        base = _base(self.scale)
        return (base - 1) / (base + 1)

    def insert(self, values: Sequence[float], weight: float = 1.0) -> None:
        """Add every one of `values` (finite floats) `weight` times."""
        if not values:
            return
        low, high = min(values), max(values)
        if low > 0.0:
            _count(self.positive, values, self.scale, weight)
        else:
            positive = [value for value in values if value > 0.0]
            negative = [-value for value in values if value < 0.0]
            _count(self.positive, positive, self.scale, weight)
            _count(self.negative, negative, self.scale, weight)
            self.zero_count += (len(values) - len(positive) - len(negative)) * weight
        self.count += len(values) * weight
        self.sum += total(values) * weight
        self.min = min(low, self.min)
        self.max = max(high, self.max)
        self._bound()

    def merge(self, other: Sketch) -> None:
        """Add all of `other`, which stays as it is."""
        if self.scale > other.scale:
            self._downscale(self.scale - other.scale)
        shift = other.scale - self.scale
        for mine, theirs in ((self.positive, other.positive), (self.negative, other.negative)):
            for index, count in theirs.items():
                at = index >> shift
                mine[at] = mine.get(at, 0.0) + count
        self.zero_count += other.zero_count
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        self._bound()

    def copy(self) -> Sketch:
        """Return an independent histogram with the same contents."""
        twin = Sketch(self.scale)
        twin.merge(self)
        return twin

    def quantiles(self, fractions: Sequence[float]) -> list[float | None]:
        """Return the value at each of `fractions` (each 0 to 1), None for all when empty.

        The quantile q is the smallest value v for which at least q of the weight is at most v
        (nearest rank, definition 1 of Hyndman and Fan), within `relative_error`; 0 and 1 are the
        exact minimum and maximum.
        """
        if not self.count:
            return [None] * len(fractions)
        negative = sorted(self.negative, reverse=True)
        positive = sorted(self.positive)
        weights = (
            *map(self.negative.__getitem__, negative),
            self.zero_count,
            *map(self.positive.__getitem__, positive),
        )
        reached = list(accumulate(weights))
        # A weight such as 1/0.3 is not exact in binary; the slack keeps a rank that falls on a
        # bucket's edge inside that bucket.
        total = reached[-1] * (1 - 1e-12)
        zero_at = len(negative)
        answers: list[float | None] = []
        for fraction in fractions:
            at = bisect_left(reached, fraction * total) - zero_at
            if fraction in {0.0, 1.0}:
                answers.append(self.max if fraction else self.min)
                continue
            if at > 0:
                value = midpoint(positive[at - 1], self.scale)
            else:
                value = -midpoint(negative[at], self.scale) if at else 0.0
            answers.append(min(max(value, self.min), self.max))
        return answers

    def quantile(self, fraction: float) -> float | None:
        """Return one quantile (see `quantiles`)."""
        return self.quantiles((fraction,))[0]

    def cells(self) -> Iterable[tuple[float, float]]:
        """Yield (representative value, weight) from the smallest value to the largest."""
        for index in sorted(self.negative, reverse=True):
            yield -midpoint(index, self.scale), self.negative[index]
        if self.zero_count:
            yield 0.0, self.zero_count
        for index in sorted(self.positive):
            yield midpoint(index, self.scale), self.positive[index]

    def _bound(self) -> None:
        while (
            len(self.positive) > MAX_BUCKETS or len(self.negative) > MAX_BUCKETS
        ) and self.scale > MIN_SCALE:
            self._downscale(1)

    def _downscale(self, steps: int) -> None:
        """Merge 2 ** steps neighbouring buckets into one; exact, because the bases nest."""
        self.positive = _shifted(self.positive, steps)
        self.negative = _shifted(self.negative, steps)
        self.scale -= steps


def total(values: Sequence[float]) -> float:
    """Return the correctly rounded sum; infinite or nan where it exceeds a double."""
    try:
        return fsum(values)
    except (OverflowError, ValueError):  # on the way, and of inf with -inf
        return sum(values)


def index_of(value: float, scale: int = DEFAULT_SCALE) -> int:
    """Return the bucket of a positive `value`; a power of the base belongs to the bucket below."""
    return ceil(log2(value) * pow(2.0, scale)) - 1


def upper_bound(index: int, scale: int = DEFAULT_SCALE) -> float:
    """Return the inclusive upper edge of bucket `index`; infinity past the largest float."""
    exponent = (index + 1) * pow(2.0, -scale)
    return pow(2.0, exponent) if exponent < 1024 else float("inf")


def midpoint(index: int, scale: int = DEFAULT_SCALE) -> float:
    """Return the value of bucket `index` that minimises the worst relative error."""
    base = _base(scale)
    # Harmonic mean of the edges, written so that the top bucket does not overflow.
    lower = pow(2.0, index * pow(2.0, -scale))
    return lower * (2 * base / (base + 1))


def _base(scale: int) -> float:
    return pow(2.0, pow(2.0, -scale))


def _count(buckets: Buckets, values: Sequence[float], scale: int, weight: float) -> None:
    # A chain of C-level maps: about a quarter of the cost of a loop in Python.
    for top in map(ceil, map(mul, map(log2, values), repeat(pow(2.0, scale)))):
        index = top - 1
        buckets[index] = buckets.get(index, 0.0) + weight


def _shifted(buckets: Buckets, steps: int) -> Buckets:
    merged: Buckets = {}
    for index, count in buckets.items():
        at = index >> steps
        merged[at] = merged.get(at, 0.0) + count
    return merged

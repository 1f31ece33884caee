"""One series: what its open slot accumulates, what a sealed slot keeps of it, how slots merge.

A sealed cell is never changed, so that rows can be read from any thread. Its form by type:

    counter                          (count, sum)
    gauge                            (count, sum, min, max, last, when that was written)
    set                              (count, Members)
    timer, histogram, distribution   Sketch
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from vitald.aggregator.cardinality import DEFAULT_EXACT_LIMIT, Members
from vitald.aggregator.interval import Row
from vitald.metric import SAMPLED_TYPES, MetricType
from vitald.sketch import DEFAULT_SCALE, Sketch, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.metric import SeriesKey
    from vitald.wire.parse import Sample

# One of the forms above; which one follows from the series' type.
Cell = Any

_INFINITY = float("inf")


class Series:
    """Base: identity and age. `last_seen` is monotonic, set when a slot with samples is sealed."""

    __slots__ = ("is_alive", "is_overflow", "key", "last_seen", "route")

    def __init__(self, key: SeriesKey, now: float) -> None:
        self.key = key
        self.last_seen = now
        self.is_alive = True
        self.is_overflow = False
        # The engine's fast path to this series, if it has one.
        self.route: object = None

    def add(self, sample: Sample) -> None:
        """Accumulate one line's values in the open slot."""
        raise NotImplementedError

    def seal(self, at: float) -> Cell | None:
        """Return the open slot's cell and start the next; None when there was no sample.

        `at` is the slot's end on the monotonic clock.
        """
        raise NotImplementedError

    def merge(self, cells: Sequence[Cell]) -> Cell:
        """Return one cell for several; a cell alone is returned as it is."""
        raise NotImplementedError

    def row(self, cell: Cell) -> Row:
        """Return the row of a cell."""
        raise NotImplementedError


class Counter(Series):
    """Sum of value / rate."""

    __slots__ = ("count", "sum")

    def __init__(self, key: SeriesKey, now: float) -> None:
        super().__init__(key, now)
        self.count = 0.0
        self.sum = 0.0

    def add(self, sample: Sample) -> None:
        self.add_values(cast("list[float]", sample.values), sample.rate)

    def add_values(self, values: Sequence[float], rate: float) -> None:
        self.count += len(values) / rate
        self.sum += total(values) / rate

    def seal(self, at: float) -> Cell | None:  # noqa: ARG002  only gauges need it
        if not self.count:
            return None
        cell = (self.count, self.sum)
        self.count = self.sum = 0.0
        return cell

    def merge(self, cells: Sequence[Cell]) -> Cell:
        if len(cells) == 1:
            return cells[0]
        return total([cell[0] for cell in cells]), total([cell[1] for cell in cells])

    def row(self, cell: Cell) -> Row:
        count, value = cell
        return Row(*self.key, count, value)

    def held(self) -> Cell:
        """Return the cell of a slot without a sample."""
        return 0.0, 0.0


class Gauge(Series):
    """The last value; minimum, maximum and mean are of the samples in the slot.

    `last` is the state that deltas apply to; answers show what it was when a slot was last sealed,
    once one was (`was_sealed`).
    """

    __slots__ = ("_sealed_at", "_sealed_last", "count", "last", "max", "min", "sum", "was_sealed")

    def __init__(self, key: SeriesKey, now: float) -> None:
        super().__init__(key, now)
        self.last = 0.0
        self._sealed_last = 0.0
        self._sealed_at = -_INFINITY
        self.was_sealed = False
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.min = _INFINITY
        self.max = -_INFINITY

    def add(self, sample: Sample) -> None:
        self.add_values(cast("list[float]", sample.values), sample.signed)

    def add_values(self, values: Sequence[float], signed: Sequence[bool]) -> None:
        """Take `values` in order; one that is `signed` moves the gauge by itself."""
        if any(signed):
            levels = []
            level = self.last
            for value, is_delta in zip(values, signed, strict=True):
                level = level + value if is_delta else value
                levels.append(level)
            values = levels
        self.last = values[-1]
        self.count += len(values)
        self.sum += total(values)
        self.min = min(self.min, *values) if len(values) > 1 else min(self.min, values[0])
        self.max = max(self.max, *values) if len(values) > 1 else max(self.max, values[0])

    def seal(self, at: float) -> Cell | None:
        if not self.count:
            return None
        cell = (self.count, self.sum, self.min, self.max, self.last, at)
        self._hold(cell)
        self._clear()
        return cell

    def backfill(self, cell: Cell) -> None:
        """Take what an older slot got: it is what the gauge holds if nothing came after it."""
        if cell[5] >= self._sealed_at:
            self._hold(cell)
            if not self.count:
                self.last = self._sealed_last

    def _hold(self, cell: Cell) -> None:
        self._sealed_last, self._sealed_at = cell[4], cell[5]
        self.was_sealed = True

    def merge(self, cells: Sequence[Cell]) -> Cell:
        if len(cells) == 1:
            return cells[0]
        counts, sums, lows, highs, lasts, moments = zip(*cells, strict=True)
        # Of two at the same moment the one that came later counts.
        at, last = max(zip(reversed(moments), reversed(lasts), strict=True), key=itemgetter(0))
        return sum(counts), total(sums), min(lows), max(highs), last, at

    def row(self, cell: Cell) -> Row:
        count, value, low, high, last, _ = cell
        if not count:
            return Row(*self.key, last=last)
        return Row(*self.key, float(count), value, low, high, last)

    def held(self) -> Cell:
        """Return the cell of a slot without a sample: the value holds, nothing was measured."""
        return 0, 0.0, _INFINITY, -_INFINITY, self._sealed_last, self._sealed_at


class SetSeries(Series):
    """Distinct members, as bytes."""

    __slots__ = ("count", "limit", "members")

    def __init__(self, key: SeriesKey, now: float, limit: int = DEFAULT_EXACT_LIMIT) -> None:
        super().__init__(key, now)
        self.limit = limit
        self.count = 0
        self.members = Members(limit)

    def add(self, sample: Sample) -> None:
        self.add_members(cast("list[bytes]", sample.values))

    def add_members(self, members: Sequence[bytes]) -> None:
        self.count += len(members)
        self.members.add(members)

    def seal(self, at: float) -> Cell | None:  # noqa: ARG002  only gauges need it
        if not self.count:
            return None
        cell = (self.count, self.members)
        self.count = 0
        self.members = Members(self.limit)
        return cell

    def merge(self, cells: Sequence[Cell]) -> Cell:
        if len(cells) == 1:
            return cells[0]
        union = Members(self.limit)
        for _, members in cells:
            union.merge(members)
        return sum(cell[0] for cell in cells), union

    def row(self, cell: Cell) -> Row:
        count, members = cell
        return Row(*self.key, float(count), unique=members.count())


class SampledSeries(Series):
    """Timer, histogram or distribution: every sample goes into the histogram, weighted."""

    __slots__ = ("open", "scale")

    def __init__(self, key: SeriesKey, now: float, scale: int = DEFAULT_SCALE) -> None:
        super().__init__(key, now)
        self.scale = scale
        self.open = Sketch(scale)

    def add(self, sample: Sample) -> None:
        self.add_values(cast("list[float]", sample.values), sample.rate)

    def add_values(self, values: Sequence[float], rate: float) -> None:
        self.open.insert(values, 1.0 / rate)

    def seal(self, at: float) -> Cell | None:  # noqa: ARG002  only gauges need it
        if not self.open.count:
            return None
        cell, self.open = self.open, Sketch(self.scale)
        return cell

    def merge(self, cells: Sequence[Cell]) -> Cell:
        if len(cells) == 1:
            return cells[0]
        merged = Sketch(self.scale)
        for cell in cells:
            merged.merge(cell)
        return merged

    def row(self, cell: Cell) -> Row:
        sketch: Sketch = cell
        return Row(*self.key, sketch.count, sketch.sum, sketch.min, sketch.max, histogram=sketch)


def new_series(key: SeriesKey, now: float, *, set_limit: int, scale: int) -> Series:
    """Return an empty series of the key's type."""
    if key.type is MetricType.COUNTER:
        return Counter(key, now)
    if key.type is MetricType.GAUGE:
        return Gauge(key, now)
    if key.type in SAMPLED_TYPES:
        return SampledSeries(key, now, scale)
    return SetSeries(key, now, set_limit)

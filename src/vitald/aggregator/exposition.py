"""What a Prometheus scrape sees: totals that only grow, summed over all sealed intervals.

    counter                         counter  <name>_total     sum since the series was first seen
    timer, histogram, distribution  summary  <name>{quantile} over the asked window, from the engine
                                             <name>_sum, <name>_count  since first seen
    gauge                           gauge    <name>           last value, from the engine
    set                             gauge    <name>           distinct members in the asked window

A counter that goes down would look like a restart to Prometheus, and its next value like an
enormous increase; an interval whose sum is negative is therefore left out and counted.

Memory is bounded: at most `limit` series, each forgotten after `expiry` seconds without a sample.
A counter that comes back after that starts from 0, which Prometheus takes for the restart it is.
"""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING

from vitald.aggregator.documents import FRACTIONS
from vitald.aggregator.prometheus import (
    Names,
    distinct_labels,
    header,
    number,
    sample,
    sample_names,
)
from vitald.aggregator.selector import Selector
from vitald.metric import SAMPLED_TYPES, MetricType, SeriesKey

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from vitald.aggregator.engine import Source
    from vitald.aggregator.interval import Interval, Row
    from vitald.metric import Tags

# Rows or lines between two turns of the event loop.
SLICE = 250

_KINDS = {
    MetricType.COUNTER: "counter",
    MetricType.GAUGE: "gauge",
    MetricType.SET: "gauge",
    MetricType.TIMER: "summary",
    MetricType.HISTOGRAM: "summary",
    MetricType.DISTRIBUTION: "summary",
}
_WINDOWED = (*SAMPLED_TYPES, MetricType.SET, MetricType.GAUGE)

# What the engine says of a series: its quantiles, or the one number of a set or gauge.
_Windowed = dict[SeriesKey, "Sequence[float | None]"]


class _Total:
    """One series since it was first seen. `seen` is in seconds of sealed intervals."""

    __slots__ = ("count", "labels", "seen", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.count = 0.0
        self.seen = 0.0
        self.labels: str | None = None  # made at the first scrape: there may never be one


class _Family:
    """All series of one type and name."""

    __slots__ = ("base", "kind", "labels", "series")

    def __init__(self, kind: MetricType, base: str) -> None:
        self.kind = kind
        self.base = base
        self.series: dict[Tags, _Total] = {}
        self.labels: set[str] | None = None  # like a series' own


class Exposition:
    """The totals behind `/metrics`.

    `shed_rows` counts rows that found the limit reached, `negative_rows` counter rows that were
    left out because they would have lowered the total. `reserved` are family names of others.
    """

    def __init__(
        self, *, limit: int = 100_000, expiry: float = 3600.0, reserved: Iterable[str] = ()
    ) -> None:
        self._limit = limit
        self._expiry = expiry
        self._families: dict[tuple[MetricType, str], _Family] = {}
        self._names = Names(reserved)
        self._adding = asyncio.Lock()
        self._elapsed = 0.0
        self._swept = 0.0
        self.active = 0
        self.shed_rows = 0
        self.negative_rows = 0

    async def observe(self, interval: Interval) -> None:
        """Add one sealed interval; call it once for each. Overlapping calls wait in line."""
        async with self._adding:
            await self._observe(interval)

    async def _observe(self, interval: Interval) -> None:
        self._elapsed += interval.seconds
        for batch in chain(interval.rows(idle=True), [interval.late]):
            await asyncio.sleep(0)  # making a batch took its time, also when it is empty
            for start in range(0, len(batch), SLICE):
                self._add(batch[start : start + SLICE])
                await asyncio.sleep(0)
        if self._elapsed - self._swept >= self._expiry / 10:
            self._swept = self._elapsed
            await self._sweep()

    async def render(
        self, engine: Source, selector: Selector, window: float
    ) -> AsyncGenerator[str, None]:
        """Yield the text in pieces; quantiles and sets cover the last `window` seconds."""
        matches = selector.matcher()
        windowed = await self._ask(engine, selector, window)
        pieces: list[str] = []
        looked_at = 0
        # Lists, because an interval may add families and series between two pieces.
        for (_, name), family in list(self._families.items()):
            head = _head(family, name)
            for tags, total in list(family.series.items()):
                looked_at += 1
                if looked_at % SLICE == 0:
                    yield "".join(pieces)
                    pieces.clear()
                    await asyncio.sleep(0)
                key = SeriesKey(family.kind, name, tags)
                if matches(key) and (text := _text(family, tags, total, windowed.get(key, ()))):
                    pieces.append(head + text)
                    head = ""
        yield "".join(pieces)

    def _add(self, rows: Sequence[Row]) -> None:
        families, elapsed = self._families, self._elapsed
        for row in rows:
            family = families.get((row.type, row.name))
            total = family.series.get(row.tags) if family is not None else None
            if total is None:
                total = self._new(row)
                if total is None:
                    self.shed_rows += 1
                    continue
            total.seen = elapsed
            total.count += row.count
            if row.sum >= 0.0 or row.type is not MetricType.COUNTER:
                total.sum += row.sum
            else:
                self.negative_rows += 1

    def _new(self, row: Row) -> _Total | None:
        if self.active >= self._limit:
            return None
        family = self._families.get((row.type, row.name))
        if family is None:
            family = _Family(row.type, self._names.take(row.type, row.name))
            self._families[row.type, row.name] = family
        total = family.series[row.tags] = _Total()
        self.active += 1
        return total

    async def _sweep(self) -> None:
        """Forget the series that had no sample for `expiry` seconds."""
        horizon = self._elapsed - self._expiry
        checked = 0
        for key, family in list(self._families.items()):
            for tags, total in list(family.series.items()):
                checked += 1
                if total.seen <= horizon:
                    del family.series[tags]
                    if family.labels is not None and total.labels is not None:
                        family.labels.discard(total.labels)
                    self.active -= 1
            if not family.series:
                del self._families[key]
                self._names.release(family.kind, family.base)
            if checked >= 10 * SLICE:
                checked = 0
                await asyncio.sleep(0)

    async def _ask(self, engine: Source, selector: Selector, window: float) -> _Windowed:
        wanted = tuple(kind for kind in _WINDOWED if not selector.types or kind in selector.types)
        if not wanted:
            return {}
        found: _Windowed = {}
        asked = Selector(selector.names, selector.tags, wanted)
        for batch in engine.query(asked, window).rows():
            await asyncio.sleep(0)  # making a batch took its time, also when it is empty
            for at, row in enumerate(batch, 1):
                found[SeriesKey(row.type, row.name, row.tags)] = _numbers(row)
                if at % SLICE == 0:
                    await asyncio.sleep(0)
        return found


def _numbers(row: Row) -> Sequence[float | None]:
    if row.histogram is not None:
        return row.histogram.quantiles(FRACTIONS)
    return (row.last if row.type is MetricType.GAUGE else row.unique,)


def _head(family: _Family, name: str) -> str:
    kind = family.kind
    first = sample_names(kind, family.base)[0]
    return header(first, _KINDS[kind], f"StatsD {kind.value} {name}")


def _text(family: _Family, tags: Tags, total: _Total, found: Sequence[float | None]) -> str:
    if family.labels is None:
        family.labels = set()
    if total.labels is None:
        total.labels = distinct_labels(tags, family.labels)
        family.labels.add(total.labels)
    names = sample_names(family.kind, family.base)
    if family.kind in SAMPLED_TYPES:
        return _summary(names, total.labels, total, found)
    value = _single(family.kind, total, found)
    return "" if value is None else sample(names[0], total.labels, value)


def _single(kind: MetricType, total: _Total, found: Sequence[float | None]) -> float | None:
    if kind is MetricType.COUNTER:
        return total.sum
    if kind is MetricType.SET:
        return found[0] if found else 0
    # A gauge that cannot be read at present has no value, and so no line.
    return found[0] if found else None


def _summary(
    names: tuple[str, ...], labels: str, total: _Total, quantiles: Sequence[float | None]
) -> str:
    base, sum_name, count_name = names
    comma = f"{labels}," if labels else ""
    # Without a sample in the window there is no quantile: the line is absent, never 0.
    lines = [
        f'{base}{{{comma}quantile="{fraction:g}"}} {number(value)}\n'
        for fraction, value in zip(FRACTIONS, quantiles, strict=False)
        if value is not None
    ]
    lines.append(sample(sum_name, labels, total.sum))
    lines.append(sample(count_name, labels, total.count))
    return "".join(lines)

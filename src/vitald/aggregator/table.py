"""The series table: who is alive, how many may be, and where the rest goes."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

from vitald.aggregator.cardinality import DEFAULT_EXACT_LIMIT
from vitald.aggregator.series import Series, new_series
from vitald.metric import MetricType, SeriesKey
from vitald.sketch import DEFAULT_SCALE
from vitald.wire.encode import CLIENT_DROPPED

if TYPE_CHECKING:
    from collections.abc import Iterator

OVERFLOW_NAME = "vitald.overflow"
OVERFLOW_TAGS = (("overflow", "true"),)


class SeriesTable:
    """At most `limit` series, and one overflow series a known name beside them.

    A new series past the limit is folded into `name{overflow=true}` when its name is known with
    its type, else into `vitald.overflow` of its type: the totals over a name and over everything
    stay exact while memory stays bounded.
    """

    def __init__(
        self,
        limit: int,
        *,
        expiry: float,
        set_limit: int = DEFAULT_EXACT_LIMIT,
        scale: int = DEFAULT_SCALE,
    ) -> None:
        self.limit = limit
        self.expiry = expiry
        self._set_limit = set_limit
        self._scale = scale
        self._series: dict[SeriesKey, Series] = {}
        self._overflow: dict[SeriesKey, Series] = {}
        self._names: Tally[tuple[MetricType, str]] = Tally()
        # Series in which clients say what they dropped.
        self.reports: list[Series] = []

    def __len__(self) -> int:
        return len(self._series)

    def __iter__(self) -> Iterator[Series]:
        yield from self._series.values()
        yield from self._overflow.values()

    def get(self, key: SeriesKey, now: float) -> Series:
        """Return the series of `key`, new if need be; an overflow series at the limit."""
        series = self._series.get(key) or self._overflow.get(key)
        if series is not None:
            return series
        if len(self._series) >= self.limit:
            return self._overflow_for(key, now)
        series = new_series(key, now, set_limit=self._set_limit, scale=self._scale)
        self._series[key] = series
        self._names[key.type, key.name] += 1
        if key.name == CLIENT_DROPPED:
            self.reports.append(series)
        return series

    def expire(self, now: float, held_since: float) -> bool:
        """Forget the series that had no sample for `expiry` seconds; say whether any went.

        A series that slots since `held_since` may hold stays: if it was forgotten and came back,
        it would stand twice in one answer.
        """
        horizon = min(now - self.expiry, held_since)
        idle = [series for series in self if series.last_seen < horizon]
        for series in idle:
            if series.is_overflow:
                del self._overflow[series.key]
            else:
                del self._series[series.key]
                self._names[series.key.type, series.key.name] -= 1
            series.is_alive = False
        if idle:
            self.reports = [series for series in self.reports if series.is_alive]
            self._names = +self._names  # without the names that nobody has any more
        return bool(idle)

    def _overflow_for(self, key: SeriesKey, now: float) -> Series:
        is_known = (key.type, key.name) in self._names
        folded = (
            SeriesKey(key.type, key.name, OVERFLOW_TAGS)
            if is_known
            else SeriesKey(key.type, OVERFLOW_NAME, ())
        )
        series = self._overflow.get(folded) or self._series.get(folded)
        if series is None:
            series = new_series(folded, now, set_limit=self._set_limit, scale=self._scale)
            series.is_overflow = True
            self._overflow[folded] = series
        return series

"""Handles: one series, looked up once. Recording through a handle is the cheapest call there is.

`vitald.client.series` says why the same four lines stand in every one of them.
"""

from __future__ import annotations

import random
from math import nan
from sys import _getframe
from time import perf_counter_ns

from vitald.client.timing import Span
from vitald.client.values import Delta, member_text, negative, scaled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    from typing_extensions import Self

    from vitald.client.series import Series


class Counter:
    """A number of events."""

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        self._series = series

    def inc(self, count: float = 1) -> None:
        """Add `count`."""
        series = self._series
        buffer = series.buffer
        buffer.append(count)
        if len(buffer) > series.limit:
            series.relieve()

    def dec(self, count: float = 1) -> None:
        """Subtract `count`."""
        self.inc(negative(count))


class SampledCounter(Counter):
    """A counter that records a share of the calls; each stands for `1 / weight` of them."""

    __slots__ = ("_rate", "_weight")

    def __init__(self, series: Series, rate: float, weight: float) -> None:
        super().__init__(series)
        self._rate, self._weight = rate, weight

    def inc(self, count: float = 1) -> None:
        """Add `count`."""
        if random.random() < self._rate:
            self._series.record(count if self._weight == 1 else scaled(count, self._weight))


class Gauge:
    """A level: the last value wins. Never sampled."""

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        self._series = series

    def set(self, value: float) -> None:
        """Set the level."""
        series = self._series
        buffer = series.buffer
        buffer.append(value)
        if len(buffer) > series.limit:
            series.relieve()

    def inc(self, step: float = 1) -> None:
        """Raise the level, whatever it is."""
        self.set(Delta((step,)))  # type: ignore[arg-type]

    def dec(self, step: float = 1) -> None:
        """Lower the level, whatever it is."""
        self.set(Delta((negative(step),)))  # type: ignore[arg-type]


class Set:
    """A number of distinct members. Never sampled."""

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        self._series = series

    def add(self, member: object) -> None:
        """Add a member; it is sent as text."""
        series = self._series
        buffer = series.buffer
        buffer.append(member if type(member) is str else member_text(member))
        if len(buffer) > series.limit:
            series.relieve()


class Distribution:
    """Samples of any unit, whose quantiles are asked for."""

    __slots__ = ("_rate", "_series")

    def __init__(self, series: Series, rate: float) -> None:
        self._series, self._rate = series, rate

    def record(self, value: float) -> None:
        """Add a sample."""
        if self._rate != 1 and random.random() >= self._rate:
            return
        series = self._series
        buffer = series.buffer
        buffer.append(value)
        if len(buffer) > series.limit:
            series.relieve()


class Histogram(Distribution):
    """Samples of any unit, as StatsD's type `h`."""

    __slots__ = ()


class Timer(Span):
    """Durations in milliseconds: record one, or measure a block or a function.

    `ms` is the last duration measured, None before.
    """

    __slots__ = ("_rate", "_series", "ms")

    def __init__(self, series: Series, rate: float) -> None:
        super().__init__()
        self._series, self._rate = series, rate
        self.ms: float | None = None

    def record(self, milliseconds: float | timedelta) -> None:
        """Add a duration, in milliseconds or as a timedelta."""
        if self._rate != 1 and random.random() >= self._rate:
            return
        series = self._series
        buffer = series.buffer
        buffer.append(milliseconds)
        if len(buffer) > series.limit:
            series.relieve()

    def end(self, start: int, error: BaseException | None) -> None:  # noqa: ARG002  all count
        """Add the time since `start`."""
        # From whole nanoseconds the quotient is the decimal that people would write.
        milliseconds = self.ms = (perf_counter_ns() - start) / 1e6
        self.record(milliseconds)

    def unopened(self) -> None:
        """Count a value that is none, as `bad_value`."""
        self._series.record(nan)

    # As in `Span`, with `begin`, `end` and `record` written out.

    def __enter__(self) -> Self:
        if not self._blocks:
            try:
                self._free.pop()
            except IndexError:
                pass
            else:
                self._frame = _getframe(1)
                self._start = perf_counter_ns()
                return self
        return self._open(_getframe(1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now = perf_counter_ns()
        if self._free or self._blocks:
            start = self._close(_getframe(1))
            if start is None:
                self.unopened()
                return
        else:  # only one block is open
            start = self._start
            self._frame = None
            self._free.append(None)
        milliseconds = self.ms = (now - start) / 1e6
        if self._rate != 1 and random.random() >= self._rate:
            return
        series = self._series
        buffer = series.buffer
        buffer.append(milliseconds)
        if len(buffer) > series.limit:
            series.relieve()

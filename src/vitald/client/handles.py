"""Handles: one series, looked up once. Recording through a handle is the cheapest call there is."""

from __future__ import annotations

import random
from time import perf_counter_ns

from vitald.client.series import Delta
from vitald.client.timing import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from typing import Any

    Record = Callable[[Any], None]


class Counter:
    """A number of events."""

    __slots__ = ("_rate", "_record")

    def __init__(self, record: Record, rate: float) -> None:
        self._record, self._rate = record, rate

    def inc(self, count: float = 1) -> None:
        """Add `count`."""
        if self._rate == 1 or random.random() < self._rate:
            self._record(count)

    def dec(self, count: float = 1) -> None:
        """Subtract `count`."""
        if self._rate == 1 or random.random() < self._rate:
            self._record(negative(count))


class Gauge:
    """A level: the last value wins. Never sampled."""

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record

    def set(self, value: float) -> None:
        """Set the level."""
        self._record(value)

    def inc(self, step: float = 1) -> None:
        """Raise the level, whatever it is."""
        self._record(Delta((step,)))

    def dec(self, step: float = 1) -> None:
        """Lower the level, whatever it is."""
        self._record(Delta((negative(step),)))


class Set:
    """A number of distinct members. Never sampled."""

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record

    def add(self, member: object) -> None:
        """Add a member; it is sent as text."""
        self._record(member_text(member))


class Distribution:
    """Samples of any unit, whose quantiles are asked for."""

    __slots__ = ("_rate", "_record")

    def __init__(self, record: Record, rate: float) -> None:
        self._record, self._rate = record, rate

    def record(self, value: float) -> None:
        """Add a sample."""
        if self._rate == 1 or random.random() < self._rate:
            self._record(value)


class Histogram(Distribution):
    """Samples of any unit, as StatsD's type `h`."""

    __slots__ = ()


class Timer(Span):
    """Durations in milliseconds: record one, or measure a block or a function.

    `ms` is the last duration measured, None before.
    """

    __slots__ = ("_rate", "_record", "ms")

    def __init__(self, record: Record, rate: float) -> None:
        super().__init__()
        self._record, self._rate = record, rate
        self.ms: float | None = None

    def record(self, milliseconds: float | timedelta) -> None:
        """Add a duration, in milliseconds or as a timedelta."""
        if self._rate == 1 or random.random() < self._rate:
            self._record(milliseconds)

    def end(self, start: int, error: BaseException | None) -> None:  # noqa: ARG002  all count
        """Add the time since `start`."""
        # From whole nanoseconds the quotient is the decimal that people would write.
        self.ms = (perf_counter_ns() - start) / 1e6
        if self._rate == 1 or random.random() < self._rate:
            self._record(self.ms)


def negative(value: Any) -> Any:
    """Return `-value`; None, which is counted as no number, when there is none."""
    try:
        return -value
    except Exception:  # the value is the caller's object and may do anything
        return None


def member_text(member: object) -> str:
    """Return a set's member as text, at once: the object may change until it is sent."""
    try:
        return member.decode("utf-8", "replace") if isinstance(member, bytes) else str(member)
    except Exception:  # the value is the caller's object and may do anything
        return ""

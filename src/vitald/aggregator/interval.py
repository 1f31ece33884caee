"""What an engine hands out: rows, sealed intervals, answers, the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vitald.metric import Event, MetricType, ServiceCheck, Tags


class Histogram(Protocol):
    """The samples of a row, to be read: `vitald.sketch.Sketch`, or the native engine's own."""

    @property
    def count(self) -> float: ...
    @property
    def sum(self) -> float: ...
    @property
    def min(self) -> float: ...
    @property
    def max(self) -> float: ...
    @property
    def zero_count(self) -> float: ...
    @property
    def scale(self) -> int: ...
    @property
    def relative_error(self) -> float: ...
    @property
    def positive(self) -> Mapping[int, float]: ...
    @property
    def negative(self) -> Mapping[int, float]: ...
    def quantile(self, fraction: float, /) -> float | None: ...
    def quantiles(self, fractions: Sequence[float], /) -> list[float | None]: ...
    def cells(self) -> Iterable[tuple[float, float]]: ...


@dataclass(slots=True)
class Row:
    """One series over one span of time.

    `count` is the weighted number of samples and `sum` their weighted sum (a counter's value).
    `min`, `max` are None without a sample. `last` is a gauge's value, `unique` a set's
    cardinality, `histogram` a timer's, histogram's or distribution's samples; None elsewhere.
    A gauge that was not written in the span keeps its `last` and has count 0; so has an idle
    counter, with sum 0.
    """

    type: MetricType
    name: str
    tags: Tags
    count: float = 0.0
    sum: float = 0.0
    min: float | None = None
    max: float | None = None
    last: float | None = None
    unique: int | None = None
    histogram: Histogram | None = None

    @property
    def mean(self) -> float | None:
        """Return the weighted mean of the samples, None without one."""
        return self.sum / self.count if self.count else None


class Interval(Protocol):
    """One sealed flush interval; immutable, safe to read from any thread.

    `start` and `end` are Unix seconds, `seconds` the true (monotonic) length, which differs from
    `end - start` when the clock was stepped.
    """

    start: float
    end: float
    seconds: float
    events: Sequence[Event]
    service_checks: Sequence[ServiceCheck]

    @property
    def corrections(self) -> Sequence[Interval]:
        """Return older intervals that timestamped samples changed, whole, changed series only.

        Samples so old that only windows hold their time are not in one (note `uncorrected`).
        Targets where the last value for a timestamp wins take them as they are.
        """
        ...

    @property
    def late(self) -> Sequence[Row]:
        """Return those timestamped samples by themselves, for whoever adds intervals up."""
        ...

    def rows(self, *, idle: bool = False) -> Iterator[list[Row]]:
        """Yield the rows in batches of at most 1,000, series with samples only unless `idle`.

        A batch is made when it is asked for, in a few milliseconds; it may be empty.
        With `idle`, gauges and counters that are alive but had no sample are included (count 0).
        """
        ...


class Answer(Protocol):
    """The rows of a query over a rolling window.

    The sealed slots cover `start` to `end` (Unix seconds), `seconds` in true length: the length
    to divide by for a rate. `complete` says that they cover the whole window asked for.
    """

    start: float
    end: float
    seconds: float
    complete: bool

    def rows(self) -> Iterator[list[Row]]:
        """Yield the rows in batches of at most 1,000, in no particular order.

        A batch is made when it is asked for, in a few milliseconds; it may be empty.
        """
        ...


@dataclass(slots=True)
class Ledger:
    """Where every line went: `lines == aggregated + sum(rejected) + sum(shed)`, always.

    A packed line is one line; `values` counts the values in aggregated lines. `notes` counts what
    was kept but odd (`clamped_rate`, `dropped_tag`, `unknown_field`, …). `listeners` has, per
    listener, `datagrams`, `bytes` and `kernel_dropped` (None where the kernel keeps no count);
    `internal` lines came from the sidecar's own checks. `last_rejected` has the last different
    rejected lines, newest first, with `reason` and `times`. `client_reported` has what clients said
    that they dropped (`dropped_<reason>`), up to the last sealed interval.
    """

    datagrams_received: int = 0
    bytes_received: int = 0
    kernel_dropped: int = 0
    lines: int = 0
    internal_lines: int = 0
    values: int = 0
    aggregated: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    shed: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    late: int = 0
    events: int = 0
    service_checks: int = 0
    series_active: int = 0
    series_limit: int = 0
    series_overflowed: int = 0
    listeners: dict[str, dict[str, int | None]] = field(default_factory=dict)
    last_rejected: list[dict[str, object]] = field(default_factory=list)
    client_reported: dict[str, float] = field(default_factory=dict)

"""What a test reads of a window: one series at a time, with what follows from its samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitald.aggregator.documents import FRACTIONS, measure
from vitald.testing.matchers import tags_match, tags_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.aggregator.interval import Histogram, Row
    from vitald.testing.matchers import TagsWanted


@dataclass(frozen=True)
class Metric:
    """One series over one window, as `vitald metrics -o json` shows it.

    `count` is the weighted number of samples and `sum` their weighted sum (a counter's value);
    `rate` is a counter's sum, else the count, per second of the time that was covered. `last` is a
    gauge's value, `unique` the number of a set's members. What a type has not got is None.
    """

    name: str
    type: str
    tags: dict[str, str]
    count: float
    sum: float
    rate: float | None
    min: float | None
    max: float | None
    mean: float | None
    last: float | None
    unique: int | None
    histogram: Histogram | None

    def quantile(self, fraction: float) -> float | None:
        """Return the value that this share of the samples does not exceed, within 0.55 %."""
        return None if self.histogram is None else self.histogram.quantile(fraction)

    @property
    def quantiles(self) -> dict[float, float | None]:
        """Return the quantiles at 0.5, 0.9, 0.95 and 0.99; none where there are no samples."""
        if self.histogram is None:
            return {}
        return dict(zip(FRACTIONS, self.histogram.quantiles(FRACTIONS), strict=True))

    def matches(self, tags: TagsWanted, type: str | None) -> bool:  # noqa: A002
        """Say whether this is one of those asked for; None is no restriction."""
        return type in {None, self.type} and tags_match(tags, self.tags)

    def __str__(self) -> str:
        return f"{self.type} {self.name}{tags_text(self.tags) if self.tags else ''}"


def metric_of(row: Row, seconds: float) -> Metric:
    """Return a row over so many seconds."""
    return Metric(
        row.name,
        row.type.value,
        dict(row.tags),
        row.count,
        row.sum,
        measure(row, seconds).rate,
        row.min,
        row.max,
        row.mean,
        row.last,
        row.unique,
        row.histogram,
    )


def listed(metrics: Sequence[Metric]) -> str:
    """Return series one below the other, for the end of a sentence."""
    most = 50
    if not metrics:
        return " none at all"
    more = [f"… {len(metrics) - most} more"] if len(metrics) > most else []
    return "".join(f"\n  {one}" for one in [*metrics[:most], *more])

"""Answers that never show an old number for one that cannot be read any more.

A gauge holds its last value, and that is right as long as somebody could write it. When a check
says that it cannot read a number (the Docker daemon is gone), the last value is history: the row
is there, and its value is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.aggregator.interval import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from vitald.aggregator.engine import Source
    from vitald.aggregator.interval import Answer, Ledger
    from vitald.aggregator.selector import Selector
    from vitald.metric import SeriesKey


class Available:
    """A `Source` over another one; `unavailable` returns the series that cannot be read now."""

    def __init__(self, source: Source, unavailable: Callable[[], Collection[SeriesKey]]) -> None:
        self._source = source
        self._unavailable = unavailable
        self.name = source.name

    def query(self, selector: Selector, window: float) -> Answer:
        """Answer like the source, without the values that are history."""
        answer = self._source.query(selector, window)
        matches = selector.matcher()
        gone = [key for key in self._unavailable() if matches(key)]
        return _Masked(answer, gone) if gone else answer

    def ledger(self) -> Ledger:
        """Account for every line, like the source."""
        return self._source.ledger()


class _Masked:
    def __init__(self, answer: Answer, gone: Sequence[SeriesKey]) -> None:
        self._answer = answer
        self._gone = frozenset(gone)
        self.start = answer.start
        self.end = answer.end
        self.seconds = answer.seconds
        self.complete = answer.complete

    def rows(self) -> Iterator[list[Row]]:
        for batch in self._answer.rows():
            yield [row for row in batch if (row.type, row.name, row.tags) not in self._gone]
        yield [Row(*key) for key in sorted(self._gone)]

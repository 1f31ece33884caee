"""What the Python engine hands out: sealed intervals and answers, their rows made when asked."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vitald.aggregator.interval import Row
    from vitald.aggregator.series import Cell, Series
    from vitald.aggregator.windows import Slot
    from vitald.metric import Event, ServiceCheck

BATCH = 1000


class SealedInterval:
    """An `Interval` (see there). `late` has the rows of samples that were put into older slots."""

    def __init__(
        self,
        slot: Slot,
        items: Sequence[tuple[Series, Cell]],
        idle: Sequence[tuple[Series, Cell]] = (),
        late: Sequence[Row] = (),
    ) -> None:
        self.start = slot.start.wall
        self.end = slot.end.wall
        self.seconds = slot.end.monotonic - slot.start.monotonic
        self.events: Sequence[Event] = ()
        self.service_checks: Sequence[ServiceCheck] = ()
        self.corrections: Sequence[SealedInterval] = ()
        self.late = late
        self._items = items
        self._idle = idle

    def rows(self, *, idle: bool = False) -> Iterator[list[Row]]:
        yield from batches(series.row(cell) for series, cell in self._items)
        if idle:
            yield from batches(series.row(cell) for series, cell in self._idle)


class WindowAnswer:
    """An `Answer` (see there)."""

    def __init__(
        self, slots: Sequence[Slot], window: float, complete: bool, rows: Iterator[Row]
    ) -> None:
        self.start = slots[0].start.wall if slots else 0.0
        self.end = slots[-1].end.wall if slots else 0.0
        self.seconds = slots[-1].end.monotonic - slots[0].start.monotonic if slots else 0.0
        self.window = window
        self.complete = complete
        self._rows = rows

    def rows(self) -> Iterator[list[Row]]:
        return batches(self._rows)


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch

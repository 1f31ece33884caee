"""Sorting more rows than one turn of the event loop can sort.

Every batch is sorted by itself when it arrives, and the sorted runs are merged while they are
written: no step is longer than one batch. What waits is not rows but rendered text, which the
garbage collector need not look at; when only the first few are wanted, only those wait.
"""

from __future__ import annotations

import heapq
from itertools import count
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from vitald.aggregator.documents import FRACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vitald.aggregator.documents import Measured

    Render = Callable[[Measured], str]

_QUANTILE_AT = {f"p{fraction * 100:g}": at for at, fraction in enumerate(FRACTIONS)}
# Up to this many rows are held in one sorted list that every batch is merged into.
_FEW = 2000


class Ordering:
    """Rendered rows in the order of a sort key, the first `top` of them.

    Numbers descend and missing ones come last; `name` and `type` ascend. Equal rows are ordered
    by name, tags and type, so that the same rows always come in the same order.
    """

    def __init__(self, sort: str, top: int | None, render: Render) -> None:
        self._first = _first(sort)
        self._top = top
        self._render = render
        self._is_short = top is not None and top <= _FEW
        self._runs: list[list[tuple[Any, ...]]] = []
        # Decides where all else is equal: rows themselves have no order.
        self._serial = count()

    def add(self, batch: Sequence[Measured]) -> None:
        """Take one batch; no run needs to keep more than `top` rows."""
        run = [
            (self._first(m), m.row.name, m.row.tags, m.row.type.value, next(self._serial), m)
            for m in batch
        ]
        if self._is_short:
            # Nearly sorted already: the sort finds the old run and merges.
            run = sorted([*self._runs.pop(), *run] if self._runs else run)
            self._runs.append(run[: self._top])
            return
        run.sort()
        self._runs.append([(*entry[:-1], self._render(entry[-1])) for entry in run[: self._top]])

    def __iter__(self) -> Iterator[str]:
        merged = heapq.merge(*self._runs)
        for left, entry in zip(count(1), merged, strict=False):
            yield self._render(entry[-1]) if self._is_short else entry[-1]
            if left == self._top:
                return


def _first(sort: str) -> Callable[[Measured], object]:
    if sort == "name":
        return lambda measured: measured.row.name
    if sort == "type":
        return lambda measured: measured.row.type.value
    if sort == "rate":
        return lambda measured: _descending(measured.rate)
    if sort in _QUANTILE_AT:
        at = _QUANTILE_AT[sort]
        return lambda measured: _descending(measured.quantiles[at] if measured.quantiles else None)
    return lambda measured: _descending(getattr(measured.row, sort))


def _descending(value: float | None) -> float:
    return -value if value is not None and isfinite(value) else inf

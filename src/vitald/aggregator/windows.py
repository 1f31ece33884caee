"""Rolling windows: rings of sealed slots, rolled up from fine to coarse.

Every level is a ring of slots of one resolution (10 s, 1 m and 5 m by default). A slot ends where
its resolution's boundary of the wall clock was crossed; when that boundary is crossed on a coarser
level, that level gets one slot merged from the finer ones. Ages are measured on the monotonic
clock and wall times are labels, so that a step of the wall clock makes one slot shorter or longer
and moves nothing else.

Merging a slot of many series takes long, and the event loop has to go on meanwhile. So a coarse
slot begins as its parts, is asked by them, and is merged bit by bit (`Windows.tidy`).

A window is answered from the level that was chosen for it, and its most recent part, which has not
been rolled up yet, from the finer levels. So the near end is always the last sealed slot, and the
far end is exact to that level's resolution: the interval for windows up to thirty intervals, at
most a twelfth of the window beyond that. The answer says what it covered.
"""

from __future__ import annotations

from collections import deque
from itertools import islice, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vitald.aggregator.series import Cell, Series
    from vitald.clock import Instant

DEFAULT_WINDOWS = (10.0, 60.0, 300.0, 900.0, 3600.0)

# A window of more slots than this is answered from a coarser level of at least that many.
_MOST_SLOTS = 30
_FEWEST_SLOTS = 12


class Slot:
    """What was sampled between two instants; `cells` has the series with samples only.

    As long as it has `parts`, its `cells` are not complete, and the parts stand for it.
    """

    __slots__ = ("_merging", "cells", "end", "parts", "start")

    def __init__(self, start: Instant, end: Instant, cells: dict[Series, Cell]) -> None:
        self.start = start
        self.end = end
        self.cells = cells
        self.parts: Sequence[Slot] = ()
        self._merging: Iterator[tuple[Series, Cell]] = iter(())

    @classmethod
    def of(cls, parts: Sequence[Slot]) -> Slot:
        """Return the slot of several consecutive ones, not merged yet."""
        slot = cls(parts[0].start, parts[-1].end, {})
        slot.parts = parts
        slot._merging = merge_cells(parts, lambda _: True)
        return slot

    def merge(self, most: int | None = None) -> bool:
        """Merge at most `most` series of the parts; say whether that was all of them."""
        if self.parts:
            before = len(self.cells)
            self.cells.update(islice(self._merging, most))
            if most is None or len(self.cells) - before < most:
                self.parts = ()
        return not self.parts

    def leaves(self) -> Iterator[Slot]:
        """Yield the slots, oldest first, whose cells are complete and stand for this one."""
        if self.parts:
            for part in self.parts:
                yield from part.leaves()
        else:
            yield self

    def holds(self, wall: float) -> bool:
        """Say whether a wall time is in this slot, by its labels."""
        return self.start.wall <= wall < self.end.wall

    def covers(self, other: Slot) -> bool:
        """Say whether another slot's samples are in this one."""
        return (
            self.start.monotonic <= other.start.monotonic
            and other.end.monotonic <= self.end.monotonic
        )

    def add(self, series: Series, cell: Cell) -> None:
        """Merge a late cell; the old cell object stays as it was."""
        self.merge()
        mine = self.cells.get(series)
        self.cells[series] = cell if mine is None else series.merge([mine, cell])


class Level:
    """A ring of slots of one resolution, kept for `retention` seconds."""

    __slots__ = ("resolution", "retention", "slots")

    def __init__(self, resolution: float, retention: float) -> None:
        self.resolution = resolution
        self.retention = retention
        self.slots: deque[Slot] = deque()


class Windows:
    """The levels for a set of windows (seconds, each a multiple of `interval`)."""

    def __init__(self, interval: float, windows: Sequence[float] = DEFAULT_WINDOWS) -> None:
        self.interval = interval
        self.longest = max(windows)
        self.levels = _plan(interval, sorted(windows))
        self._unmerged: deque[Slot] = deque()

    @property
    def since(self) -> float:
        """Return the monotonic start of the oldest slot; infinity without one."""
        return min(
            (level.slots[0].start.monotonic for level in self.levels if level.slots),
            default=float("inf"),
        )

    def push(self, slot: Slot) -> None:
        """Take a newly sealed slot of the finest level, roll up, forget what is too old."""
        while self._unmerged:  # nobody was so kind as to call `tidy`
            self._unmerged.popleft().merge()
        self.levels[0].slots.append(slot)
        for finer, coarser in pairwise(self.levels):
            if _roll_up(finer, coarser, slot):
                self._unmerged.append(coarser.slots[-1])
        rolled_up = float("inf")
        for level in reversed(self.levels):
            _trim(level, slot.end.monotonic, rolled_up)
            rolled_up = level.slots[-1].end.monotonic if level.slots else float("-inf")

    def tidy(self, most: int) -> bool:
        """Merge at most `most` series of what was rolled up; say whether there is more to do."""
        if self._unmerged and self._unmerged[0].merge(most):
            self._unmerged.popleft()
        return bool(self._unmerged)

    def select(self, window: float) -> list[Slot]:
        """Return the slots of the last `window` seconds, oldest first, without overlap."""
        newest = self.levels[0].slots[-1] if self.levels[0].slots else None
        if newest is None:
            return []
        # Half an interval of slack: a slot that ends a moment after the horizon is not in it.
        horizon = newest.end.monotonic - window + self.interval / 2
        first = next(
            (at for at, level in enumerate(self.levels) if level.retention >= window),
            len(self.levels) - 1,
        )
        chosen: list[Slot] = []
        for level in reversed(self.levels[: first + 1]):
            reached = chosen[-1].end.monotonic if chosen else float("-inf")
            chosen.extend(
                slot
                for slot in level.slots
                if slot.end.monotonic > horizon and slot.start.monotonic >= reached
            )
        return chosen

    def holding(self, wall: float) -> list[Slot]:
        """Return the sealed slots that hold a wall time, finest first.

        The first is chosen by its labels, the others are those that it was rolled up into.
        """
        found: list[Slot] = []
        for level in self.levels:
            finest = found[0] if found else None
            slot = next(
                (
                    slot
                    for slot in reversed(level.slots)
                    if (slot.covers(finest) if finest is not None else slot.holds(wall))
                ),
                None,
            )
            if slot is not None:
                found.append(slot)
        # What is still to be merged into the coarser ones must not be in their parts twice.
        for slot in found:
            slot.merge()
        return found

    def is_finest(self, slot: Slot) -> bool:
        """Say whether a slot is one that was pushed, and is still kept as such."""
        return slot in self.levels[0].slots


def merge_cells(
    slots: Sequence[Slot], wanted: Callable[[Series], bool]
) -> Iterator[tuple[Series, Cell]]:
    """Yield every wanted series with its cells merged over `slots` (oldest first)."""
    all_cells = [leaf.cells for slot in slots for leaf in slot.leaves()]
    names = dict.fromkeys(series for cells in all_cells for series in cells if wanted(series))
    for series in names:
        found = [cells[series] for cells in all_cells if series in cells]
        yield series, series.merge(found)


def _roll_up(finer: Level, coarser: Level, newest: Slot) -> bool:
    """Append a coarser slot if it is time for one; say whether it was."""
    since = coarser.slots[-1].end.monotonic if coarser.slots else float("-inf")
    parts = [slot for slot in finer.slots if slot.start.monotonic >= since]
    if not parts or parts[-1].end.monotonic != newest.end.monotonic:
        return False
    boundary = newest.end.wall // coarser.resolution
    is_crossed = boundary != newest.start.wall // coarser.resolution
    # A wall clock that is set back again and again must not keep slots past their retention.
    length = newest.end.monotonic - parts[0].start.monotonic
    if not is_crossed and length < 2 * coarser.resolution:
        return False
    coarser.slots.append(Slot.of(parts))
    return True


def _trim(level: Level, now: float, rolled_up: float) -> None:
    """Forget what is too old, but nothing that ends after what was rolled up."""
    horizon = min(now - level.retention - level.resolution, rolled_up)
    while level.slots and level.slots[0].end.monotonic <= horizon:
        level.slots.popleft()


def _plan(interval: float, windows: list[float]) -> list[Level]:
    """Choose resolutions so that every window has 12 to 30 slots where it can."""
    levels = [Level(interval, interval)]
    for window in windows:
        resolution = levels[-1].resolution
        if window / resolution > _MOST_SLOTS:
            resolution = _coarser(resolution, window, windows)
            # The finer level must reach back over what the coarser one has not rolled up yet.
            levels[-1].retention = max(levels[-1].retention, resolution)
            levels.append(Level(resolution, window))
        levels[-1].retention = max(levels[-1].retention, window)
    return levels


def _coarser(resolution: float, window: float, windows: list[float]) -> float:
    fitting = [
        candidate
        for candidate in windows
        if candidate > resolution
        and candidate % resolution == 0
        and _FEWEST_SLOTS <= window / candidate <= _MOST_SLOTS
    ]
    if fitting:
        return fitting[0]
    return resolution * -(-window // (resolution * _MOST_SLOTS))

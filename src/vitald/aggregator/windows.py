"""Rolling windows: rings of sealed slots, rolled up from fine to coarse.

Every level is a ring of slots of one resolution (10 s, 1 m and 5 m by default). A slot ends where
its resolution's boundary of the wall clock was crossed; when that boundary is crossed on a coarser
level, that level gets one slot merged from the finer ones. Ages are measured on the monotonic
clock and wall times are labels, so that a step of the wall clock makes one slot shorter or longer
and moves nothing else.

A window is answered from the level that was chosen for it, and its most recent part, which has not
been rolled up yet, from the finer levels. So the near end is always the last sealed slot, and the
far end is exact to that level's resolution: the interval for windows up to thirty intervals, at
most a twelfth of the window beyond that. The answer says what it covered.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
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
    """What was sampled between two instants; `cells` has the series with samples only."""

    __slots__ = ("cells", "end", "start")

    def __init__(self, start: Instant, end: Instant, cells: dict[Series, Cell]) -> None:
        self.start = start
        self.end = end
        self.cells = cells

    def holds(self, wall: float) -> bool:
        """Say whether a wall time is in this slot, by its labels."""
        return self.start.wall <= wall < self.end.wall

    def add(self, series: Series, cell: Cell) -> None:
        """Merge a late cell; the old cell object stays as it was."""
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

    def push(self, slot: Slot) -> None:
        """Take a newly sealed slot of the finest level, roll up, forget what is too old."""
        self.levels[0].slots.append(slot)
        for finer, coarser in pairwise(self.levels):
            _roll_up(finer, coarser, slot)
        for level in self.levels:
            _trim(level, slot.end.monotonic)

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
        """Return the sealed slots of all levels that hold a wall time, finest first."""
        found = []
        for level in self.levels:
            slot = next((slot for slot in reversed(level.slots) if slot.holds(wall)), None)
            if slot is not None:
                found.append(slot)
        return found


def merge_cells(
    slots: Sequence[Slot], wanted: Callable[[Series], bool]
) -> Iterator[tuple[Series, Cell]]:
    """Yield every wanted series with its cells merged over `slots` (oldest first)."""
    all_cells = [slot.cells for slot in slots]
    names = dict.fromkeys(series for cells in all_cells for series in cells if wanted(series))
    for series in names:
        found = [cells[series] for cells in all_cells if series in cells]
        yield series, series.merge(found)


def _roll_up(finer: Level, coarser: Level, newest: Slot) -> None:
    boundary = newest.end.wall // coarser.resolution
    if boundary == newest.start.wall // coarser.resolution:
        return
    since = coarser.slots[-1].end.monotonic if coarser.slots else float("-inf")
    parts = [slot for slot in finer.slots if slot.start.monotonic >= since]
    if not parts or parts[-1].end.monotonic != newest.end.monotonic:
        return
    cells = dict(merge_cells(parts, lambda _: True))
    coarser.slots.append(Slot(parts[0].start, newest.end, cells))


def _trim(level: Level, now: float) -> None:
    horizon = now - level.retention - level.resolution
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

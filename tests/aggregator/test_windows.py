from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitald.aggregator.series import Counter
from vitald.aggregator.windows import Slot, Windows
from vitald.clock import Instant
from vitald.metric import MetricType, SeriesKey

SERIES = Counter(SeriesKey(MetricType.COUNTER, "a", ()), 0.0)


def test_the_default_windows_need_three_levels():
    levels = Windows(10.0).levels
    assert [(level.resolution, level.retention) for level in levels] == [
        (10, 300),
        (60, 900),
        (300, 3600),
    ]


@given(
    st.sampled_from([1.0, 2.0, 5.0, 10.0, 30.0]),
    st.lists(st.sampled_from([1, 6, 30, 60, 90, 360, 720]), min_size=1, max_size=5, unique=True),
    st.lists(
        st.tuples(
            st.floats(0.9, 1.1) | st.sampled_from([0.01, 40.0]),
            st.sampled_from([0.0] * 20 + [-500.0, 500.0, 0.4, -0.4]),
        ),
        min_size=1,
        max_size=300,
    ),
)
def test_a_window_is_a_run_of_slots_without_gap_or_overlap(interval, multiples, ticks):
    windows = Windows(interval, [interval * multiple for multiple in multiples])
    wall, monotonic = 1_700_000_000.0, 50.0
    for total, (length, jump) in enumerate(ticks, start=1):
        start = Instant(wall, monotonic)
        monotonic += interval * length
        wall += interval * length + jump
        windows.push(Slot(start, Instant(wall, monotonic), {SERIES: (1.0, 1.0)}))
        if total % 3:
            windows.tidy(1)
        for window in {interval * multiple for multiple in multiples}:
            slots = windows.select(window)
            assert slots[-1].end.monotonic == monotonic
            for earlier, later in pairwise(slots):
                assert earlier.end.monotonic == later.start.monotonic
            covered = monotonic - slots[0].start.monotonic
            assert covered >= min(window - interval / 2, monotonic - 50.0) - 1e-6
            cells = [leaf.cells for slot in slots for leaf in slot.leaves()]
            assert sum(cell[SERIES][0] for cell in cells) <= total


def test_a_clock_that_is_set_back_again_and_again_makes_no_gap():
    windows = Windows(30.0, [21_600.0])
    wall, monotonic = 10.0, 0.0
    for tick in range(1, 500):
        start = Instant(wall, monotonic)
        monotonic += 30.0
        wall += 30.0 if tick % 20 else -620.0
        windows.push(Slot(start, Instant(wall, monotonic), {SERIES: (1.0, 1.0)}))
        for earlier, later in pairwise(windows.select(21_600.0)):
            assert earlier.end.monotonic == later.start.monotonic


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 2000))
def test_memory_is_bounded_by_the_retention(ticks):
    windows = Windows(10.0)
    for tick in range(ticks):
        slot = Slot(Instant(tick * 10.0, tick * 10.0), Instant(tick * 10 + 10, tick * 10 + 10), {})
        windows.push(slot)
    for level in windows.levels:
        assert len(level.slots) <= level.retention / level.resolution + 2


@pytest.mark.parametrize("wall", [0.0, 9.9, 10.0, 3599.0])
def test_a_wall_time_is_found_in_every_level_that_holds_it(wall):
    windows = Windows(10.0)
    for tick in range(30):
        windows.push(
            Slot(Instant(tick * 10.0, tick * 10.0), Instant(tick * 10 + 10, tick * 10 + 10), {})
        )
    found = windows.holding(wall)
    assert all(slot.holds(wall) for slot in found)
    assert len(found) == (3 if wall < 300 else 0)


def test_a_wall_clock_that_is_set_back_again_and_again_leaves_no_gap():
    windows = Windows(10.0)
    for tick in range(1000):
        wall = 10_000.0 + tick % 3 * 10  # never reaches a minute
        start = Instant(wall, tick * 10.0)
        windows.push(Slot(start, Instant(wall + 10, tick * 10.0 + 10), {SERIES: (1.0, 1.0)}))
    slots = windows.select(3600.0)
    for earlier, later in pairwise(slots):
        assert earlier.end.monotonic == later.start.monotonic
    assert slots[-1].end.monotonic - slots[0].start.monotonic >= 3600


def test_a_late_sample_reaches_the_coarse_slot_although_its_labels_were_moved():
    windows = Windows(10.0)
    for tick in range(12):
        jump = -3600.0 if tick > 2 else 0.0
        start = Instant(36_000.0 + tick * 10 + jump, tick * 10.0)
        end = Instant(start.wall + 10 + (-3600.0 if tick == 2 else 0.0), start.monotonic + 10)
        windows.push(Slot(start, end, {}))
    found = windows.holding(36_005.0)
    assert [slot.end.monotonic - slot.start.monotonic for slot in found][:1] == [10]
    assert all(slot.covers(found[0]) for slot in found)
    assert len(found) == 3

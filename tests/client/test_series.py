"""Series alone: what is folded, what is encoded, what is refused."""

from __future__ import annotations

import math
from _thread import allocate_lock
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.client.samples import SampleSeries
from vitald.client.series import LIMIT, CounterSeries, FoldingSeries, GaugeSeries, SetSeries
from vitald.client.values import Delta


class Owner:
    def __init__(self):
        self.lock = allocate_lock()
        self.drops = Counter()
        self.blocked = False
        self.wakes = 0

    def is_blocked(self):
        return self.blocked

    def wake(self):
        self.wakes += 1

    def relieve(self, series):
        """Leave the buffer as it is."""

    def drop(self, reason, samples=1):
        self.drops[reason] += samples


@pytest.fixture
def owner():
    return Owner()


def drain(series, size=1432):
    return list(series.units(size))


@given(st.lists(st.lists(st.integers(-9, 9) | st.booleans(), max_size=5), max_size=5))
def test_folding_a_counter_in_parts_changes_nothing(parts):
    series = CounterSeries(Owner(), None, b"jobs:", b"|c")
    for part in parts:
        for value in part:
            series.record(value)
        series.fold()
    values = [value for part in parts for value in part]
    expected = [(b"jobs:%d|c" % sum(values), len(values))] if values else []
    assert drain(series) == expected
    assert drain(series) == []
    assert series.waiting() == 0


def test_counts_that_cancel_out_are_sent_as_a_zero(owner):
    series = CounterSeries(owner, None, b"jobs:", b"|c")
    series.record(1)
    series.record(-1)
    assert drain(series) == [(b"jobs:0|c", 2)]


def test_a_sum_beyond_any_number_is_dropped_and_counted(owner):
    series = CounterSeries(owner, None, b"jobs:", b"|c")
    series.record(1e308)
    series.record(1e308)
    assert drain(series) == []
    assert owner.drops == {"bad_value": 2}
    series.record(1)
    assert drain(series) == [(b"jobs:1|c", 1)]


gauge_steps = st.lists(
    st.tuples(st.sampled_from(["set", "delta", "fold", "bad"]), st.integers(-5, 5)), max_size=20
)


@given(gauge_steps)
def test_a_gauge_folds_like_a_server_would(steps):
    owner = Owner()
    series = GaugeSeries(owner, None, b"depth:", b"|g")
    level, is_set, seen = 0, False, 0
    for step, value in steps:
        if step == "fold":
            series.fold()
            continue
        if step == "set":
            series.record(value)
            level, is_set = value, True
        elif step == "delta":
            series.record(Delta((value,)))
            level += value
        else:
            series.record(math.nan)
            continue
        seen += 1
    units = drain(series)
    if not seen:
        assert units == []
        return
    ((unit, _),) = units
    if not is_set:
        assert unit == b"depth:%+d|g" % level
    elif level < 0:
        assert unit == b"depth:0|g\ndepth:%d|g" % level
    else:
        assert unit == b"depth:%d|g" % level


def test_members_that_are_cleaned_to_one_are_one(owner):
    series = SetSeries(owner, None, b"users:", b"|s")
    for member in ("a|b", "a_b", "", "c:d"):
        series.record(member)
    assert drain(series) == [(b"users:a_b|s", 3), (b"users:c:d|s", 0)]
    assert owner.drops == {"bad_value": 1}


@pytest.mark.parametrize("act", ["make_room", "hold"])
def test_a_set_that_nobody_takes_is_bounded(owner, monkeypatch, act):
    monkeypatch.setattr("vitald.client.series._MEMBERS", 10)
    owner.blocked = True
    series = SetSeries(owner, None, b"users:", b"|s")
    for member in range(25):
        series.record(str(member))
        if member % 5 == 4:
            assert list(getattr(series, act)()) in ([], [None])
    assert owner.drops["buffer_full"] + series.waiting() == 25
    assert owner.drops["buffer_full"] > 0
    assert len(drain(series)) <= 10


def test_a_set_that_somebody_takes_loses_no_member_however_many_there_are(owner, monkeypatch):
    monkeypatch.setattr("vitald.client.series._MEMBERS", 100)
    monkeypatch.setattr("vitald.client.series._SENT_BY_CALLER", 20)
    series = SetSeries(owner, None, b"users:", b"|s")
    series.limit = LIMIT
    units = []
    for member in range(1000):
        series.record(str(member))
        series.record(str(member))
        if len(series.buffer) == 30:
            assert (owner.wakes > 0) == (len(series._members) > 50)
            units += series.encode(series.make_room(), 1432)
            assert len(series._members) <= 115
        if units:
            break
    assert (len(units), series.limit) == (20, 10)
    for member in range(1000):
        series.record(f"late {member}")
        if len(series.buffer) > series.limit:
            units += series.encode(series.make_room(), 1432)
            assert len(series._members) <= 115
    units += drain(series)
    recorded = {line for line, _ in units}
    assert {b"users:late %d|s" % member for member in range(1000)} <= recorded
    assert sum(samples for _, samples in units) == 2 * (len(recorded) - 1000) + 1000
    assert owner.drops["buffer_full"] == 0
    assert series.limit == LIMIT


@pytest.mark.parametrize("kind", [CounterSeries, SetSeries, SampleSeries])
def test_a_renewed_series_is_empty_and_leaves_the_old_buffer_alone(owner, kind):
    series = kind(owner, None, b"jobs:", b"|x")
    series.record("1")
    if isinstance(series, FoldingSeries):
        series.fold()
    series.record("2")
    series.limit, old = LIMIT, series.buffer
    series.renew()
    assert series.buffer is not old
    assert old[-1] == "2"
    assert (series.waiting(), series.limit, drain(series)) == (0, 0, [])


def test_discarding_counts_what_was_folded_and_what_was_not(owner):
    series = CounterSeries(owner, None, b"jobs:", b"|c")
    for _ in range(3):
        series.record(1)
    series.fold()
    series.record(1)
    assert series.discard() == 4
    assert series.waiting() == 0
    assert drain(series) == []

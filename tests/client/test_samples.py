"""Samples alone: every value is in a line, with its rate, within the size."""

from __future__ import annotations

from _thread import allocate_lock
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.client.backlog import CHUNK, Backlog
from vitald.client.samples import HARD_LIMIT, SLICE, SampleSeries, SingleSeries
from vitald.client.series import LIMIT


def Owner():  # noqa: N802  a stand-in for the flusher
    drops = Counter()
    return SimpleNamespace(
        lock=allocate_lock(),
        drops=drops,
        drop=lambda reason, samples=1: drops.update({reason: samples}),
        backlog=Backlog(lambda reason, samples: drops.update({reason: samples})),
        is_blocked=lambda: False,
        relieve=lambda series: None,
        wake=lambda: None,
    )


def drain(series, size=1432):
    return list(series.units(size))


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=600),
    st.integers(1, 200),
)
def test_packed_lines_hold_every_sample_in_order_within_the_size(values, size):
    series = SampleSeries(Owner(), None, b"render:", b"|ms|#a:1")
    for value in values:
        series.record(value)
    units = drain(series, size)
    texts = [line[len(b"render:") : -len(b"|ms|#a:1")].split(b":") for line, _ in units]
    assert [float(text) for part in texts for text in part] == values
    assert [samples for _, samples in units] == [len(part) for part in texts]
    for (line, samples), part in zip(units, texts, strict=True):
        assert len(line) <= size or samples == 1
        assert all(part)


@given(st.lists(st.integers(0, 999), max_size=300), st.integers(1, 200))
def test_one_value_a_line_holds_every_value_in_order(values, size):
    series = SingleSeries(Owner(), None, b"render:", b"|ms")
    for value in values:
        series.record(value)
    assert drain(series, size) == [(b"render:%d|ms" % value, 1) for value in values]


@pytest.mark.parametrize(
    ("after", "rate", "expected"),
    [
        (b"|ms", None, b"|ms"),
        (b"|ms|#a:1", 0.25, b"|ms|@0.25|#a:1"),
        (b"|h|@0.5|#a:1,b:@2", 0.125, b"|h|@0.125|#a:1,b:@2"),
        (b"|h|@0.5", 0.5, b"|h|@0.5"),
        (b"|d|@0.5", None, b"|d|@0.5"),
    ],
)
def test_what_is_left_of_more_says_the_share(after, rate, expected):
    series = SampleSeries(Owner(), None, b"render:", after)
    assert list(series.encode([1, 2], 1432, rate)) == [(b"render:1:2" + expected, 2)]


def test_while_nobody_takes_them_values_are_packed_piece_by_piece():
    owner = Owner()
    series = SampleSeries(owner, None, b"render:", b"|ms")
    for number in range(3 * CHUNK + 1):
        series.record(number)
    assert len(list(series.hold())) == 4
    assert (series.waiting(), owner.backlog.samples) == (0, 3 * CHUNK + 1)


def test_a_caller_wakes_the_flusher_first_then_packs_and_sends_only_when_that_is_full():
    owner = Owner()
    calls = []
    owner.wake, owner.relieve = (lambda: calls.append("wake")), calls.append
    series = SampleSeries(owner, None, b"render:", b"|ms")
    series.limit = LIMIT
    for number in range(HARD_LIMIT + 1):
        series.record(number)
    assert calls == ["wake", series]
    assert series.make_room() == []
    assert owner.backlog.samples == CHUNK
    owner.backlog.has_room = lambda: False
    assert series.make_room() == list(range(CHUNK, CHUNK + SLICE))
    owner.is_blocked = lambda: True
    assert series.make_room() == []

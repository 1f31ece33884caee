"""Samples that wait: nothing is lost below the bound, and the rest stands for all above it."""

from __future__ import annotations

import random
import sys
from array import array
from collections import Counter
from fractions import Fraction
from statistics import fmean
from types import SimpleNamespace

import pytest

from vitald.client import backlog as backlog_module
from vitald.client.backlog import CHUNK, Backlog, pack_values
from vitald.client.samples import SampleSeries
from vitald.wire.encode import MIN_RATE


class Samples:
    """What a backlog needs of a series."""

    rate = 0.5

    def __init__(self):
        self.buffer = []

    def encode(self, values, size, rate):
        yield values, rate


@pytest.fixture
def drops():
    return Counter()


@pytest.fixture
def backlog(drops, monkeypatch):
    monkeypatch.setattr(backlog_module, "LIMIT", 4 * CHUNK)
    return Backlog(lambda reason, samples: drops.update({reason: samples}))


class TimeUpError(BaseException):
    pass


def interrupt_at(moment, function):
    """Call a function; at the given one of the calls in it and their returns, raise."""
    left = moment

    def profile(*_):
        nonlocal left
        left -= 1
        if left < 0:
            sys.setprofile(None)
            raise TimeUpError

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)


def drain(backlog):
    chunks = []
    while (chunk := backlog.take()) is not None:
        chunks.append(chunk)
    return chunks


def test_plain_numbers_are_packed_and_others_are_left_alone():
    class Hostile(float):
        def __float__(self):
            raise RuntimeError("hostile")

    assert pack_values([1, 2.5]) == array("d", [1.0, 2.5])
    for values in ([1, Fraction(1, 2)], ["x"], [None], [Hostile(1)], [10**400], [True]):
        assert pack_values(values) is values


def test_values_come_back_in_order_and_short_ones_share_a_chunk(backlog):
    one, two = Samples(), Samples()
    for number in range(100):
        backlog.add(one, array("d", [number]))
        backlog.add(two, [str(number)])
    backlog.add(one, ["odd"])
    backlog.add(one, array("d", [100.0]))
    assert (backlog.samples, len(backlog)) == (202, 2)
    first, second = drain(backlog)
    assert first.values == [*map(float, range(100)), "odd", 100.0]
    assert second.values == [*map(str, range(100))]
    assert backlog.samples == 0
    assert list(first.units(1432)) == [(first.values, None)]
    assert list(second.units(1432)) == [(second.values, None)]


def test_a_chunk_is_never_longer_than_one_piece_of_work(backlog):
    series = Samples()
    for _ in range(5):
        backlog.add(series, array("d", range(CHUNK - 100)))
    assert [len(chunk.values) for chunk in drain(backlog)] == [CHUNK - 100] * 5


def test_at_the_bound_the_oldest_are_halved_and_say_their_share(backlog, drops):
    random.seed(3)
    series = Samples()
    for number in range(6):
        backlog.add(series, array("d", [number] * CHUNK))
    assert backlog.samples <= 4 * CHUNK
    chunks = drain(backlog)
    assert [chunk.values[0] for chunk in chunks] == [0, 1, 2, 3, 4, 5]
    assert all(chunk.seen == CHUNK for chunk in chunks)
    kept = [len(chunk.values) for chunk in chunks]
    # Two chunks too many need four halves, or one more when chance kept more than half.
    assert kept[5:] == [CHUNK]
    assert all(0.3 * CHUNK < length < 0.7 * CHUNK for length in kept[:4])
    units = list(chunks[0].units(1432))
    assert [value for values, _ in units for value in values] == list(chunks[0].values)
    assert {rate for _, rate in units} == {0.5 * kept[0] / CHUNK}
    assert +drops == {"thinned": 6 * CHUNK - sum(kept)}


def test_what_was_thinned_and_is_dropped_is_dropped_with_all_it_stood_for(backlog, drops):
    series = Samples()
    for number in range(1, 601):
        backlog.add(series, array("d", range(CHUNK)))
        assert backlog.waiting + sum(drops.values()) == number * CHUNK
    assert set(drops) == {"buffer_full"}
    assert backlog.waiting > backlog.samples
    drops["unreachable"] = backlog.discard()
    assert sum(drops.values()) == 600 * CHUNK
    assert (backlog.waiting, backlog.samples) == (0, 0)


def test_nothing_is_thinned_below_the_smallest_rate_a_line_can_say(backlog):
    series = Samples()
    series.rate = 3 * MIN_RATE
    for _ in range(200):
        backlog.add(series, array("d", range(CHUNK)))
    chunks = drain(backlog)
    assert min(len(chunk.values) / chunk.seen for chunk in chunks) >= 1 / 3
    assert backlog.waiting == 0


def test_an_exception_at_any_call_of_moving_samples_here_loses_none(backlog, drops):
    """As a signal handler raises it: at a call, or when one returns."""
    series = SampleSeries(SimpleNamespace(backlog=backlog), None, b"render:", b"|ms")
    recorded = stops = 0
    for step in range(400):
        while len(series.buffer) < CHUNK:
            series.buffer.append(recorded)
            recorded += 1
        try:
            interrupt_at(step % 40, series._put_aside)
        except TimeUpError:
            stops += 1
        assert len(series.buffer) + backlog.waiting + drops["buffer_full"] == recorded
        assert backlog.samples == sum(len(chunk.values) for chunk in backlog._chunks)
        while backlog.waiting > 3 * CHUNK:
            recorded -= backlog.take().seen
    assert stops > 100


def test_every_value_is_accounted_for_however_many_there_are(backlog, drops):
    many = [Samples() for _ in range(3)]
    for number in range(600):
        backlog.add(many[number % 3], array("d", range(1 + number % CHUNK)))
    seen = sum(1 + number % CHUNK for number in range(600))
    assert backlog.samples <= 4 * CHUNK
    assert backlog.waiting + sum(drops.values()) == seen
    kept = sum(len(chunk.values) for chunk in drain(backlog))
    assert {reason for reason, samples in drops.items() if samples} == {"thinned", "buffer_full"}
    assert kept + sum(drops.values()) == seen


def test_which_values_are_kept_is_chance(backlog):
    random.seed(4)
    series = Samples()
    for _ in range(120):
        backlog.add(series, array("d", [0, 1] * (CHUNK // 2)))
    kept = [value for chunk in drain(backlog) for value in chunk.values]
    assert fmean(kept) == pytest.approx(0.5, abs=0.05)


def test_a_chunk_that_was_taken_takes_no_more(backlog):
    series = Samples()
    backlog.add(series, [1])
    taken = backlog.take()
    backlog.add(series, [2])
    assert (taken.values, backlog.take().values) == ([1], [2])


def test_discarding_forgets_everything(backlog):
    series = Samples()
    backlog.add(series, [1, 2])
    assert backlog.discard() == 2
    backlog.add(series, [])
    assert (backlog.samples, len(backlog), backlog.take()) == (0, 0, None)


def test_the_few_samples_of_a_quiet_series_outlast_a_loud_one(backlog, drops):
    loud, quiet = Samples(), [Samples() for _ in range(30)]
    for series in quiet:
        backlog.add(series, array("d", [1, 2, 3]))
    for _ in range(20):
        backlog.add(loud, array("d", [0] * CHUNK))
    chunks = drain(backlog)
    assert [list(chunk.values) for chunk in chunks[:30]] == [[1, 2, 3]] * 30
    assert sum(chunk.seen for chunk in chunks) == 90 + 20 * CHUNK
    assert {reason for reason, samples in drops.items() if samples} == {"thinned"}

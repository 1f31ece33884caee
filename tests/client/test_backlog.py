"""Samples that wait: nothing is lost below the bound, and the rest stands for all above it."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from fractions import Fraction
from statistics import fmean

import pytest

from vitald.client import backlog as backlog_module
from vitald.client.backlog import CHUNK, Backlog, pack_values


class Samples:
    """What a backlog needs of a series."""

    rate = 0.5

    def encode(self, values, size, rate):
        yield values, rate


@pytest.fixture
def drops():
    return Counter()


@pytest.fixture
def backlog(drops, monkeypatch):
    monkeypatch.setattr(backlog_module, "LIMIT", 4 * CHUNK)
    return Backlog(lambda reason, samples: drops.update({reason: samples}))


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
    assert drops == {"thinned": 6 * CHUNK - sum(kept)}


def test_every_value_is_accounted_for_however_many_there_are(backlog, drops):
    many = [Samples() for _ in range(3)]
    for number in range(600):
        backlog.add(many[number % 3], array("d", range(1 + number % CHUNK)))
    seen = sum(1 + number % CHUNK for number in range(600))
    assert backlog.samples <= 4 * CHUNK
    assert backlog.samples + sum(drops.values()) == seen
    assert set(drops) == {"thinned", "buffer_full"}
    assert sum(len(chunk.values) for chunk in drain(backlog)) == seen - sum(drops.values())


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
    assert set(drops) == {"thinned"}

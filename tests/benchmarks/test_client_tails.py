"""Quantiles are of the calls that were made, and a measurement ends by itself."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from benchmarks.client import tails
from benchmarks.client.tails import BURST, LOADS, Load, quantiles, spin_as_long, worker


def test_a_quantile_is_the_lowest_value_that_is_not_below_its_share():
    tally = Counter(range(1, 10_001))
    assert quantiles(tally, tails.SHARES) == [5_000, 9_900, 9_990, 9_999]


def test_values_count_as_often_as_they_were_seen():
    assert quantiles({7: 99, 1_000: 1}, (0.5, 0.99, 0.999)) == [7, 7, 1_000]


def test_of_few_values_the_highest_stands_for_the_rarest():
    assert quantiles({3: 1, 5: 1}, tails.SHARES) == [3, 5, 5, 5]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.title)
def test_every_call_of_every_thread_is_timed_and_then_it_ends(load):
    seen = []
    work = worker("note(1)", {"note": seen.append}, load)
    tally = tails.time_calls(work, load.threads, 0.01)
    assert tally.total() == len(seen)
    assert len(seen) >= load.threads * BURST


class Clock:
    """Time passes by one with each reading, and when somebody sleeps or works."""

    def __init__(self):
        self.now = 0
        self.pauses = []

    def read(self):
        self.now += 1
        return self.now

    def pass_time(self, nanoseconds):
        self.now += nanoseconds

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += int(seconds * 1e9)

    def time(self, statement, pause, seconds):
        names = {"clock": self.read, "sleep": self.sleep, "pass_time": self.pass_time}
        times = []
        worker(statement, names, Load("", 1, pause, 0.0))(times, seconds)
        return times


def test_what_is_timed_is_the_statement_alone():
    assert set(Clock().time("pass_time(7)", 0.5, 2.0)) == {8}


def test_a_paced_thread_pauses_after_every_burst_until_its_time_is_over():
    clock = Clock()
    times = clock.time("pass", 0.5, 1.2)
    assert clock.pauses == [0.5, 0.5, 0.5]
    assert len(times) == 3 * BURST


def test_a_spinning_thread_never_pauses():
    clock = Clock()
    times = clock.time("pass_time(7)", 0.0, 1e-6)
    assert clock.pauses == []
    assert len(times) == 6 * BURST


def test_a_spin_grows_with_what_it_stands_for():
    turns = [int(re.findall(r"\d+", spin_as_long(long))[0]) for long in (0.0, 500.0, 50_000.0)]
    assert turns[0] == 0 < turns[1] < turns[2]


def test_every_spin_stands_below_its_call():
    rows = tails.titles()
    for call in tails.SPUN:
        assert rows[rows.index(call.title) + 1] == tails.spin_title(call)

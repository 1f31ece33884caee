"""Rolling windows, steps of the clock, and samples that name their time."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from math import ceil
from pathlib import Path

import engines
import pytest
from engines import BOUND, ENGINES, START, ask, at, rows_of

from vitald.aggregator.selector import Selector
from vitald.errors import UsageError
from vitald.metric import MetricType


@pytest.mark.parametrize("window", [10, 60, 300, 900, 3600])
def test_a_window_holds_exactly_what_was_sealed_in_the_span_it_names(engine, window):
    arrived = []
    for tick in range(1, 700):
        engine.ingest(b"a:%d|c" % tick)
        arrived.append((START + tick * 10 - 5, tick))
        engine.rotate(at(tick * 10))
    answer = engine.query(Selector(), window)
    (row,) = rows_of(answer).values()
    truth = sum(value for moment, value in arrived if answer.start <= moment < answer.end)
    assert row.sum == truth
    assert answer.end == START + 6990
    assert answer.complete
    assert answer.seconds == answer.end - answer.start
    slack = {10: 0, 60: 0, 300: 0, 900: 60, 3600: 300}[window]
    assert window <= answer.seconds <= window + slack


def test_a_young_sidecar_says_that_its_windows_are_incomplete(engine):
    for tick in (1, 2, 3):
        engine.ingest(b"a:1|c")
        engine.rotate(at(tick * 10))
    answer = engine.query(Selector(), 60)
    assert (answer.complete, answer.seconds) == (False, 30)
    assert engine.query(Selector(), 10).complete
    for tick in (4, 5, 6):
        engine.rotate(at(tick * 10))
    assert engine.query(Selector(), 60).complete


@pytest.mark.parametrize("window", [10, 60, 300, 900, 3600])
def test_every_quantile_of_every_window_is_within_the_bound(engine, window):
    source = random.Random(window)
    arrived = []
    for tick in range(1, 400):
        values = [source.lognormvariate(tick / 200, 1) for _ in range(20)]
        engine.ingest(b"\n".join(b"a:%r|ms" % value for value in values).replace(b"'", b""))
        arrived += [(START + tick * 10 - 5, value) for value in values]
        engine.rotate(at(tick * 10))
    answer = engine.query(Selector(), window)
    (row,) = rows_of(answer).values()
    raw = sorted(value for moment, value in arrived if answer.start <= moment < answer.end)
    assert row.count == len(raw)
    for fraction in (0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999):
        truth = raw[ceil(fraction * len(raw) * (1 - 1e-12)) - 1]
        assert abs(row.histogram.quantile(fraction) - truth) <= BOUND * truth
    assert (row.min, row.max) == (raw[0], raw[-1])


def test_sets_are_united_over_slots(engine):
    for tick in range(1, 7):
        engine.ingest(b"a:every|s\na:only%d|s" % tick)
        engine.rotate(at(tick * 10))
    (row,) = ask(engine).values()
    assert row.unique == 7


def test_a_large_set_is_estimated_within_five_percent(engine):
    for tick in range(1, 7):
        members = range(tick * 10_000, tick * 10_000 + 15_000)
        engine.ingest(b"\n".join(b"a:user-%d|s" % member for member in members))
        engine.rotate(at(tick * 10))
    (row,) = ask(engine).values()
    assert row.unique == pytest.approx(65_000, rel=0.05)


def test_a_gauge_that_is_not_written_holds_its_value(engine):
    engine.ingest(b"a:7|g")
    for tick in range(1, 20):
        engine.rotate(at(tick * 10))
    (row,) = ask(engine, window=60).values()
    assert (row.last, row.count, row.min, row.mean) == (7, 0, None, None)


def test_a_window_longer_than_the_longest_is_refused(engine):
    with pytest.raises(UsageError, match="cannot answer over 7200 s: the longest window is 3600 s"):
        engine.query(Selector(), 7200)


def test_the_selector_restricts_names_tags_and_types(engine):
    engine.ingest(b"web.hits:1|c|#dc:eu\nweb.hits:1|c|#dc:us\nweb.time:1|ms|#dc:eu\ndb.hits:1|c")
    engine.rotate(at(10))
    assert len(ask(engine, names=["web.*"])) == 3
    assert len(ask(engine, names=["db.*", "web.time"])) == 2
    assert len(ask(engine, tags=[("dc", "eu")])) == 2
    assert len(ask(engine, tags=[("dc", "e*")], types=[MetricType.TIMER])) == 1
    assert ask(engine, names=["WEB.*"]) == {}


# Clock


@pytest.mark.parametrize("jump", [-86_400.0, -15.0, 15.0, 86_400.0])
def test_a_step_of_the_wall_clock_moves_labels_and_no_count(engine, jump):
    for tick in range(1, 7):
        engine.ingest(b"a:1|c")
        engine.rotate(at(tick * 10))
    for tick in range(7, 10):
        engine.ingest(b"a:1|c")
        engine.rotate(at(tick * 10, jump))
    answer = engine.query(Selector(), 60)
    (row,) = rows_of(answer).values()
    assert (row.sum, answer.seconds) == (6, 60)
    assert answer.end == START + 90 + jump
    longer = engine.query(Selector(), 3600)
    assert (rows_of(longer).popitem()[1].sum, longer.seconds) == (9, 90)


def test_a_suspended_machine_makes_one_long_slot(engine):
    engine.ingest(b"a:1|c")
    interval = engine.rotate(at(7200))
    assert interval.seconds == 7200
    assert ask(engine, window=60).popitem()[1].sum == 1


@pytest.mark.parametrize("name", ENGINES)
def test_a_seal_before_the_last_one_comes_to_an_end(name):
    # In a process of its own: what goes on for ever here cannot be stopped, and takes memory.
    code = (
        "from engines import ENGINES, at\n"
        f"engine = ENGINES[{name!r}](at(0))\n"
        "for seconds in (40, 30, 50):\n"
        "    engine.ingest(b'a:1|c')\n"
        "    engine.rotate(at(seconds))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(engines.__file__).parent)}
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=10, check=True)


# Timestamps


def test_a_timestamped_sample_is_counted_in_the_slot_of_its_time(engine):
    for tick in range(1, 13):
        engine.ingest(b"a:1|c")
        engine.rotate(at(tick * 10))
    engine.ingest(b"a:100|c|T%d" % (START + 15))
    engine.rotate(at(130))
    assert ask(engine, window=60).popitem()[1].sum == 5
    assert ask(engine, window=300).popitem()[1].sum == 112
    assert ask(engine, window=3600).popitem()[1].sum == 112
    assert engine.ledger().late == 0


def test_a_timestamped_sample_older_than_every_slot_is_counted_now_and_as_late(engine):
    engine.rotate(at(10))
    engine.ingest(b"a:1|c|T165658")
    engine.rotate(at(20))
    assert ask(engine, window=10).popitem()[1].sum == 1
    assert engine.ledger().late == 1


def test_an_older_interval_is_delivered_again_whole_with_its_own_time(engine):
    engine.ingest(b"a:1|c\nb:1|c")
    engine.rotate(at(10))
    engine.rotate(at(20))
    engine.ingest(b"a:5|c|T%d\na:2|c|T%d" % (START + 3, START + 4))
    interval = engine.rotate(at(30))
    (correction,) = interval.corrections
    assert (correction.start, correction.end) == (START, START + 10)
    assert {key[1]: row.sum for key, row in rows_of(correction).items()} == {"a": 8}
    assert [(row.name, row.sum) for row in interval.late] == [("a", 7)]
    assert engine.rotate(at(40)).corrections == []


def test_a_late_gauge_is_not_the_last_value_of_a_coarse_slot_that_goes_on_after_it(engine):
    for tick in range(1, 41):
        engine.ingest(b"g:%d|g" % tick)
        engine.rotate(at(tick * 10))  # 40 * 10 s: a boundary of five minutes
    engine.ingest(b"g:999|g|T%d" % (START + 365))
    for window in (60, 300, 900, 3600):
        row = ask(engine, window=window)["gauge", "g", ()]
        assert (row.last, row.max) == (40, 999)


def test_a_late_gauge_that_nothing_came_after_is_what_the_gauge_holds(engine):
    engine.ingest(b"g:5|g")
    engine.rotate(at(10))
    engine.rotate(at(20))
    engine.ingest(b"g:7|g|T%d" % (START + 15))
    engine.rotate(at(30))
    assert ask(engine, window=10)["gauge", "g", ()].last == 7
    engine.ingest(b"g:+1|g")
    engine.rotate(at(40))
    assert ask(engine, window=10)["gauge", "g", ()].last == 8


def test_a_delta_has_no_place_in_the_past(engine):
    engine.ingest(b"g:5|g")
    engine.rotate(at(10))
    engine.ingest(b"g:+2|g|T%d" % (START + 5))
    engine.rotate(at(20))
    assert ask(engine, window=10)["gauge", "g", ()].last == 7
    assert engine.ledger().late == 1


def test_a_sample_older_than_every_interval_changes_windows_and_corrects_none(engine):
    for tick in range(1, 60):
        engine.ingest(b"a:1|c")
        engine.rotate(at(tick * 10))
    engine.ingest(b"a:100|c|T%d" % (START + 105))
    interval = engine.rotate(at(600))
    assert ask(engine, window=900)["counter", "a", ()].sum == 159
    assert interval.corrections == []
    assert [row.sum for row in interval.late] == [100]
    assert engine.ledger().notes == {"uncorrected": 1}


def test_a_series_that_expired_stands_once_in_every_window_when_it_comes_back(engine):
    # Its first sample is older than an hour, and in a slot of five minutes that is not.
    for tick in range(1, 389):
        if tick in {26, 388}:
            engine.ingest(b"a:1|c")
        engine.rotate(at(tick * 10))
    assert ask(engine, window=3600)["counter", "a", ()].sum == 2


# Rolling up


def test_a_roll_up_is_answered_right_before_while_and_after_it_is_merged(engine):
    answers = []
    for tick in range(1, 100):
        engine.ingest(b"\n".join(b"a%d:%d|c\nt:%d|ms" % (i, tick, i) for i in range(250)))
        engine.rotate(at(tick * 10))
        while True:
            answer = engine.query(Selector(), 900)
            rows = rows_of(answer)
            ticks = range(tick - round(answer.seconds / 10) + 1, tick + 1)
            assert rows["counter", "a7", ()].sum == sum(ticks)
            assert rows["timer", "t", ()].count == 250 * len(ticks)
            answers.append(len(rows))
            if not engine.tidy():
                break
    assert set(answers) == {251}
    if engine.name == "python":  # which merges bit by bit: it was asked on the way, too
        assert len(answers) > 99 + 16 * 2


def test_a_late_sample_that_meets_a_roll_up_on_its_way_is_counted_once(engine):
    for tick in range(1, 11):
        engine.ingest(b"\n".join(b"a%d:1|c" % i for i in range(250)))
        engine.rotate(at(tick * 10))
    for more in range(3):
        engine.ingest(b"\n".join(b"a%d:1|c|T%d" % (i, START + 95) for i in (0, 249)))
        engine.tidy()
        for window in (10, 60, 900):
            rows = ask(engine, window=window)
            ticks = min(window // 10, 10)
            assert rows["counter", "a0", ()].sum == ticks + more + 1
            assert rows["counter", "a249", ()].sum == ticks + more + 1


def test_quantiles_of_sampled_and_packed_lines_are_weighted(engine):
    source = random.Random(11)
    raw = []
    for tick in range(1, 7):
        for rate in (1.0, 0.5, 0.1):
            values = [round(source.lognormvariate(3, 1), 6) for _ in range(40)]
            packed = b":".join(b"%r" % value for value in values)
            engine.ingest(b"a:%b|ms|@%r" % (packed, rate))
            raw += [value for value in values for _ in range(round(1 / rate))]
        engine.rotate(at(tick * 10))
    (row,) = ask(engine).values()
    raw.sort()
    assert row.count == pytest.approx(len(raw))
    assert row.sum == pytest.approx(sum(raw))
    for fraction in (0.01, 0.25, 0.5, 0.9, 0.99, 0.999):
        truth = raw[ceil(fraction * len(raw) * (1 - 1e-9)) - 1]
        assert abs(row.histogram.quantile(fraction) - truth) <= BOUND * truth

"""What one interval gives: rows, intervals for forwarders, limits."""

from __future__ import annotations

import random

import pytest
from engines import START, ask, assert_balanced, at, rows_of
from hostile import WINDOWS, Ingest, Tick, story

from vitald.aggregator.selector import Selector
from vitald.clock import Instant
from vitald.metric import MetricType
from vitald.wire.dialect import Dialect


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"a:1|c\na:2|c", {"count": 2, "sum": 3}),
        (b"a:1|c|@0.1", {"count": 10, "sum": 10}),
        (b"a:1:2:3|c", {"count": 3, "sum": 6}),
        (b"a:5|g", {"count": 1, "last": 5, "min": 5, "max": 5}),
        (b"a:5|g\na:-2|g", {"count": 2, "last": 3, "min": 3, "max": 5}),
        (b"a:-5|g", {"last": -5}),
        (b"a:0|g\na:-5|g\na:+2|g", {"last": -3, "min": -5, "max": 0}),
        (b"a:x|s\na:y|s\na:x|s", {"count": 3, "unique": 2}),
        (b"a:x:y|s", {"unique": 1}),
        (b"a:10|ms\na:30|ms", {"count": 2, "sum": 40, "min": 10, "max": 30, "mean": 20}),
        (b"a:10|ms|@0.5", {"count": 2, "sum": 20, "min": 10, "max": 10}),
        (b"a:1:2|h|@0.25", {"count": 8, "sum": 12}),
        (b"a:-5|ms", {"count": 1, "min": -5, "sum": -5}),
        (b"a:9007199254740992|c", {"sum": 2**53}),
    ],
    ids=repr,
)
def test_a_datagram_gives_the_row(engine, lines, expected):
    engine.ingest(lines)
    engine.rotate(at(10))
    (row,) = ask(engine).values()
    assert {key: getattr(row, key) for key in expected} == expected


def test_what_is_not_sealed_yet_is_not_answered(engine):
    engine.ingest(b"a:1|c")
    assert ask(engine) == {}
    engine.rotate(at(10))
    engine.ingest(b"a:1|c")
    (row,) = ask(engine).values()
    assert row.sum == 1


def test_the_order_of_tags_makes_no_series(engine):
    engine.ingest(b"a:1|c|#x:1,y:2\na:1|c|#y:2,x:1\na;x=1;y=2:1|c\na:1|c|#x:1,y:2|c:ci-7")
    engine.rotate(at(10))
    (row,) = ask(engine).values()
    assert (row.sum, row.tags) == (4, (("x", "1"), ("y", "2")))


def test_the_same_name_with_another_type_is_another_series(engine):
    engine.ingest(b"a:1|c\na:2|g\na:3|ms\na:4|h\na:5|d\na:6|s")
    engine.rotate(at(10))
    assert {key[0] for key in ask(engine)} == {kind.value for kind in MetricType}


def test_gauges_of_two_spellings_keep_their_order(engine):
    engine.ingest(b"a:1|g|#x:1,y:1\na:2|g|#y:1,x:1")
    engine.ingest(b"a:3|g|#x:1,y:1\na:4|g|#y:1,x:1\na:5|g|#x:1,y:1\na:+1|g|#y:1,x:1")
    engine.rotate(at(10))
    (row,) = ask(engine).values()
    assert (row.last, row.count, row.max) == (6, 6, 6)


def test_a_signed_gauge_is_absolute_for_a_listener_that_says_so(engine):
    engine.ingest(b"a:5|g\na:-2|g", label="udp", dialect=Dialect(gauge_sign="absolute"))
    engine.rotate(at(10))
    (row,) = ask(engine).values()
    assert row.last == -2


def test_a_cut_last_line_is_rejected_and_the_whole_ones_count(engine):
    engine.ingest(b"a:1|c\na:1|c\na:1", label="unixgram", cut=True)
    ledger = engine.ledger()
    assert (ledger.aggregated, ledger.rejected) == (2, {"truncated": 1})


# Intervals for forwarders


def test_an_interval_has_its_active_series_and_the_idle_ones_on_request(engine):
    engine.ingest(b"c:1|c\ng:5|g\nt:1|ms")
    engine.rotate(at(10))
    engine.ingest(b"t:1|ms")
    interval = engine.rotate(at(20))
    assert {row.name for batch in interval.rows() for row in batch} == {"t"}
    idle = {row.name: row for batch in interval.rows(idle=True) for row in batch}
    assert (idle["c"].sum, idle["c"].count) == (0, 0)
    assert (idle["g"].last, idle["g"].count) == (5, 0)


def test_an_interval_does_not_change_after_it_was_sealed(engine):
    engine.ingest(b"c:1|c\nt:1|ms\ns:x|s\ng:1|g")
    interval = engine.rotate(at(10))
    before = [(row.name, row.sum, row.last, row.unique) for b in interval.rows() for row in b]
    engine.ingest(b"c:9|c|T%d\nc:9|c\nt:9|ms\ns:y|s\ng:9|g" % (START + 5))
    engine.rotate(at(20))
    after = [(row.name, row.sum, row.last, row.unique) for b in interval.rows() for row in b]
    assert before == after


def test_an_interval_that_is_kept_in_a_queue_shows_what_it_was_sealed_with(new_engine):
    source = random.Random(4)
    engine = new_engine(interval=1.0, windows=WINDOWS, series_limit=10, series_expiry=30.0)
    now, kept = at(0), []
    for step in story(source.choice, 150):
        if isinstance(step, Ingest):
            engine.ingest(step.data, label=step.label, cut=step.cut, dialect=step.dialect)
        elif isinstance(step, Tick):
            now = Instant(now.wall + step.length + step.jump, now.monotonic + step.length)
            interval = engine.rotate(now)
            kept += [(each, shown(each)) for each in (interval, *interval.corrections)]
    assert len(kept) > 200
    for interval, before in kept:
        assert shown(interval) == before


def shown(interval):
    """All that an interval's rows say, as text: a sum may be no number."""
    rows = [*(row for batch in interval.rows(idle=True) for row in batch), *interval.late]
    return sorted(
        repr((row.type, row.name, row.tags, row.count, row.sum, row.min, row.max, row.last))
        + repr(row.unique or (row.histogram and sorted(dict(row.histogram.positive).items())))
        for row in rows
    )


def test_rows_come_in_batches_of_at_most_a_thousand(engine):
    engine.ingest(b"\n".join(b"a%d:1|c\ng%d:1|g" % (i, i) for i in range(2500)))
    interval = engine.rotate(at(10))
    answer = engine.query(Selector(names=["a*"]), 10)
    for source, rows in ((interval, 5000), (answer, 2500)):
        sizes = [len(batch) for batch in source.rows()]
        assert (sum(sizes), max(sizes)) == (rows, min(max(sizes), 1000))


def test_an_interval_gives_its_rows_as_often_as_it_is_asked(engine):
    engine.ingest(b"c:1|c\nt:1|ms\ns:x|s\ng:1|g")
    interval = engine.rotate(at(10))
    first, second = rows_of(interval), rows_of(interval)
    assert first.keys() == second.keys()
    assert len(first) == 4


# Limits


def test_series_past_the_limit_fold_into_overflow_and_keep_the_totals_exact(new_engine):
    engine = new_engine(series_limit=10)
    for _ in range(3):
        engine.ingest(b"\n".join(b"a:1|c|#i:%d" % i for i in range(25)))
        engine.ingest(b"\n".join(b"n%d:1|c" % i for i in range(25)))
    engine.rotate(at(10))
    rows = ask(engine)
    ledger = engine.ledger()
    assert sum(row.sum for row in rows.values()) == 150
    assert sum(row.sum for key, row in rows.items() if key[1] == "a") == 75
    assert rows["counter", "vitald.overflow", ()].sum == 75
    assert ledger.series_active == 10
    assert ledger.series_overflowed == 3 * 15 + 75
    assert_balanced(ledger)


def test_idle_series_expire_and_make_room(new_engine):
    engine = new_engine(series_limit=1, series_expiry=3600)
    engine.ingest(b"a:1|c\nb:1|c")
    for tick in range(1, 430):
        engine.rotate(at(tick * 10))
    engine.ingest(b"b:1|c")
    engine.rotate(at(4300))
    assert ("counter", "b", ()) in ask(engine, window=10)
    assert engine.ledger().series_active == 1


def test_a_series_that_expired_and_came_back_counts_on(new_engine):
    engine = new_engine()
    engine.ingest(b"a:1|c\na:1|c")
    for tick in range(1, 430):
        engine.rotate(at(tick * 10))
    assert engine.ledger().series_active == 0
    engine.ingest(b"a:1|c\na:1|c\na:1|c")
    engine.rotate(at(4300))
    assert ask(engine, window=10).popitem()[1].sum == 3


@pytest.mark.parametrize(("good", "bad"), [(b"1|c", b"x|c"), (b"1|g", b"|g"), (b"x|s", b"\xff|s")])
def test_bad_values_keep_no_series_alive_and_the_next_good_one_is_its_own(new_engine, good, bad):
    engine = new_engine(interval=1.0, windows=(1.0, 5.0), series_expiry=5.0)
    engine.ingest(b"a:%b\na:%b" % (good, good))
    for tick in range(1, 20):
        engine.rotate(at(tick))
        engine.ingest(b"a:%b" % bad)
    assert engine.ledger().series_active == 0
    engine.ingest(b"b:%b\na:%b" % (good, good))
    engine.rotate(at(20))
    assert {row.name: row.count for row in ask(engine, window=1).values()} == {"a": 1, "b": 1}


def test_an_interval_of_bad_values_has_no_row_of_them(engine):
    engine.ingest(b"c:1|c\ng:1|g\ns:x|s\nt:1|ms")
    engine.rotate(at(10))
    engine.ingest(b"c:x|c\ng:x|g\ns:|s\nt:1:x|ms")
    assert rows_of(engine.rotate(at(20))) == {}
    assert {row.name: row.count for row in ask(engine, window=10).values()} == {"g": 0}


def test_long_spellings_count_like_short_ones(engine):
    line = b"a:1|c|#" + b",".join(b"tag%d:%s" % (i, b"v" * 40) for i in range(20))
    for _ in range(5):
        engine.ingest(line + b"\n" + line)
    engine.rotate(at(10))
    (row,) = ask(engine).values()
    assert (row.sum, len(row.tags)) == (10, 20)


def test_a_series_named_like_an_overflow_takes_no_spelling_for_good(new_engine):
    engine = new_engine(series_limit=2, series_expiry=3600)
    engine.ingest(b"a:1|c|#overflow:true\na:1|c")
    for _ in range(3):
        engine.ingest(b"a:1|c|#i:1")
    assert engine.ledger().series_overflowed == 3
    for tick in range(1, 430):
        engine.rotate(at(tick * 10))
    engine.ingest(b"a:1|c|#i:1")
    engine.rotate(at(4300))
    assert ("counter", "a", (("i", "1"),)) in ask(engine, window=10)


# Numbers beyond a double


@pytest.mark.parametrize("tidy", [True, False])
def test_sums_beyond_the_largest_double_lose_their_value_and_nothing_else(engine, tidy):
    for tick in range(1, 40):
        sign = b"" if tick % 2 else b"-"
        engine.ingest(b"\n".join([b"a:%s1.7e308|c\nt:%s1.7e308|ms|@0.001" % (sign, sign)] * 3))
        engine.ingest(b"g:1.7e308|g\ng:+1.7e308|g\ng:0|g\ng:-1.7e308|g\ng:-1.7e308|g\nb:1|c")
        engine.rotate(at(tick * 10))
        while tidy and engine.tidy():
            pass
    for window in (10, 60, 900, 3600):
        rows = ask(engine, window=window)
        ticks = min(window // 10, 39)
        assert rows["counter", "a", ()].count == 3 * ticks
        assert rows["counter", "b", ()].sum == ticks
        assert rows["timer", "t", ()].count == pytest.approx(3000 * ticks)
        assert rows["gauge", "g", ()].count == 5 * ticks
    ledger = engine.ledger()
    assert (ledger.lines, ledger.aggregated) == (39 * 12, 39 * 12)

"""What every engine must do; the oracle keeps all raw samples."""

from __future__ import annotations

import random
from collections import defaultdict
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitald.aggregator.python_engine import PythonEngine
from vitald.aggregator.selector import Selector
from vitald.clock import Instant
from vitald.errors import UsageError
from vitald.metric import Event, MetricType, ServiceCheck
from vitald.wire.dialect import Dialect
from vitald.wire.parse import Rejected, parse_line

START = 1_700_000_000.0  # a multiple of 10 s, not of 1 m
ENGINES = {"python": PythonEngine}
BOUND = 0.0055


@pytest.fixture(params=ENGINES)
def new_engine(request):
    def build(**options):
        return ENGINES[request.param](at(0), **options)

    return build


@pytest.fixture
def engine(new_engine):
    return new_engine()


def at(seconds, jump=0.0):
    return Instant(START + seconds + jump, 500.0 + seconds)


def rows_of(source):
    return {(row.type.value, row.name, row.tags): row for batch in source.rows() for row in batch}


def ask(engine, window=60, **selector):
    return rows_of(engine.query(Selector(**selector), window))


def assert_balanced(ledger):
    assert ledger.lines == (
        ledger.aggregated + sum(ledger.rejected.values()) + sum(ledger.shed.values())
    )


# One interval


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


def test_events_and_checks_travel_with_their_interval_once(engine):
    engine.ingest(b"_e{5,4}:title|text\n_sc|db|2|m:gone\na:1|c")
    first, second = engine.rotate(at(10)), engine.rotate(at(20))
    assert list(first.events) == [Event("title", "text")]
    assert list(first.service_checks) == [ServiceCheck("db", 2, message="gone")]
    assert (list(second.events), list(second.service_checks)) == ([], [])
    ledger = engine.ledger()
    assert (ledger.lines, ledger.events, ledger.service_checks) == (3, 1, 1)


def test_a_flood_of_events_is_shed_and_accounted_for(engine):
    engine.ingest(b"\n".join(b"_e{1,1}:a|b" for _ in range(1500)))
    interval = engine.rotate(at(10))
    ledger = engine.ledger()
    assert len(interval.events) + ledger.shed["too_many_events"] == 1500
    assert_balanced(ledger)


# Windows


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


def test_rows_come_in_batches_of_a_thousand(engine):
    engine.ingest(b"\n".join(b"a%d:1|c" % i for i in range(2500)))
    assert [len(batch) for batch in engine.rotate(at(10)).rows()] == [1000, 1000, 500]


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
    engine.rotate(at(10))
    engine.rotate(at(3700))
    engine.ingest(b"b:1|c")
    engine.rotate(at(3710))
    assert ("counter", "b", ()) in ask(engine, window=10)
    assert engine.ledger().series_active == 1


def test_a_series_that_expired_and_came_back_counts_on(new_engine):
    engine = new_engine()
    engine.ingest(b"a:1|c\na:1|c")
    engine.rotate(at(10))
    engine.rotate(at(4000))
    assert engine.ledger().series_active == 0
    engine.ingest(b"a:1|c\na:1|c\na:1|c")
    engine.rotate(at(4010))
    assert ask(engine, window=10).popitem()[1].sum == 3


def test_long_spellings_count_like_short_ones(engine):
    line = b"a:1|c|#" + b",".join(b"tag%d:%s" % (i, b"v" * 40) for i in range(20))
    for _ in range(5):
        engine.ingest(line + b"\n" + line)
    engine.rotate(at(10))
    (row,) = ask(engine).values()
    assert (row.sum, len(row.tags)) == (10, 20)


# The ledger


LINES = st.sampled_from(
    [
        b"a:1|c", b"a:2.5|c|@0.1", b"a:1:2:3|c", b"a:x|c", b"a:|c", b"a|c", b"a", b":1|c", b"",
        b"\r", b"a:1|c\r", b"g:5|g", b"g:-5|g", b"g:+2|g", b"g:1:x|g", b"t:12.5|ms", b"t:1:2|ms",
        b"t:0|ms", b"t:-3|ms", b"t:1e400|ms", b"t:1|ms|@0.3", b"s:x|s", b"s:|s", b"s:\xff|s",
        b"s:y:z|s", b"a:1|c|#x:1", b"a:1|c|#x:1,y:2", b"a:1|c|#y:2,x:1", b"a:1|c|zz", b"a:1|zz",
        b"a:1|c:2|g", b"_e{1,1}:a|b", b"_sc|a|0", b"_sc|a|9", b"a:1|c|@2", b"g:7|g|#x:1|c:ci",
        b"g:+1|g|#x:1", b"a:1|c|c:ci-1", b"h:1|h", b"d:1|d", b"a:1|m",
    ]
)  # fmt: skip


class Oracle:
    """All raw samples, aggregated the slow and plain way."""

    def __init__(self):
        self.lines = 0
        self.rejected = defaultdict(int)
        self.counters = defaultdict(float)
        self.gauges = {}
        self.members = defaultdict(set)
        self.samples = defaultdict(list)

    def take(self, datagram):
        for line in datagram.split(b"\n"):
            if line in {b"", b"\r"}:
                continue
            self.lines += 1
            parsed = parse_line(line)
            if isinstance(parsed, Rejected):
                self.rejected[parsed.reason] += 1
                continue
            for sample in parsed.samples:
                self.add(sample)

    def add(self, sample):
        if sample.key.type is MetricType.COUNTER:
            self.counters[sample.key] += sum(sample.values) / sample.rate
        elif sample.key.type is MetricType.SET:
            self.members[sample.key] |= set(sample.values)
        elif sample.key.type is MetricType.GAUGE:
            for value, is_delta in zip(sample.values, sample.signed, strict=True):
                base = self.gauges.get(sample.key, 0.0) if is_delta else 0.0
                self.gauges[sample.key] = base + value
        else:
            self.samples[sample.key] += [(value, 1 / sample.rate) for value in sample.values]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(LINES | st.binary(max_size=20), max_size=12), max_size=12))
def test_any_traffic_gives_what_the_slow_and_plain_way_gives(batches):
    for name, build in ENGINES.items():
        engine, oracle = build(at(0)), Oracle()
        for batch in batches:
            datagram = b"\n".join(batch)
            engine.ingest(datagram, label="udp")
            oracle.take(datagram)
        ledger = engine.ledger()
        assert (ledger.lines, ledger.rejected) == (oracle.lines, dict(oracle.rejected)), name
        assert_balanced(ledger)
        engine.rotate(at(10))
        rows = {(row.type, row.name, row.tags): row for row in ask(engine).values()}
        assert {k: rows[k].sum for k in oracle.counters} == pytest.approx(dict(oracle.counters))
        assert {k: rows[k].last for k in oracle.gauges} == oracle.gauges
        assert {k: rows[k].unique for k in oracle.members} == {
            key: len(members) for key, members in oracle.members.items()
        }
        for key, samples in oracle.samples.items():
            assert rows[key].count == pytest.approx(sum(weight for _, weight in samples))
            assert rows[key].sum == pytest.approx(sum(value * weight for value, weight in samples))
        assert len(rows) == sum(
            map(len, (oracle.counters, oracle.gauges, oracle.members, oracle.samples))
        )


def test_the_last_rejected_lines_are_kept_with_their_reasons(engine):
    engine.ingest(b"a:1|c\na:x|c\na:1|zzz\n" + b"z" * 5000)
    kept = engine.ledger().last_rejected
    assert {entry["reason"] for entry in kept} == {"bad_value", "unknown_type", "malformed"}
    assert max(len(str(entry["line"])) for entry in kept) <= 200


def test_a_line_that_is_rejected_again_and_again_is_kept_once_with_its_count(engine):
    engine.ingest(b"a:x|c\n" * 500 + b"b:x|c")
    kept = engine.ledger().last_rejected
    assert kept == [
        {"line": "b:x|c", "reason": "bad_value", "times": 1},
        {"line": "a:x|c", "reason": "bad_value", "times": 500},
    ]


def test_the_sidecars_own_lines_are_counted_apart(engine):
    engine.ingest(b"cpu_usage_percent:3|g\nload:1|g")
    engine.ingest(b"a:1|c", label="udp")
    ledger = engine.ledger()
    assert (ledger.lines, ledger.internal_lines, ledger.datagrams_received) == (3, 2, 1)


def test_traffic_is_counted_per_listener(engine):
    engine.ingest(b"a:1|c", label="one")
    engine.ingest(b"a:1|c\na:1|c", label="one")
    engine.ingest(b"a:1|c", label="two")
    ledger = engine.ledger()
    assert {label: each["datagrams"] for label, each in ledger.listeners.items()} == {
        "one": 2,
        "two": 1,
    }
    assert ledger.bytes_received == sum(each["bytes"] for each in ledger.listeners.values())

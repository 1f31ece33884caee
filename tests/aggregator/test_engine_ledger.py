"""Every line is accounted for, at every moment, whatever came before."""

from __future__ import annotations

import pytest
from engines import ENGINES, LINES, Oracle, ask, assert_balanced, at
from hypothesis import given, settings
from hypothesis import strategies as st

from vitald.metric import Event, ServiceCheck


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


def test_a_bad_value_among_good_ones_costs_only_itself(new_engine):
    engine = new_engine(series_limit=1)
    for _ in range(200):  # as often as it takes to fill the table of spellings, if they pile up
        engine.ingest(b"a:1|c\n" * 20 + b"a:x|c\n" + b"a:1|c\n" * 20)
        ledger = engine.ledger()
    assert (ledger.aggregated, ledger.rejected) == (200 * 40, {"bad_value": 200})
    engine.rotate(at(10))
    assert ask(engine)["counter", "a", ()].sum == 200 * 40


def test_the_bytes_of_one_intervals_events_are_bounded(engine):
    line = b"_e{1,50000}:a|" + b"x" * 50_000
    for _ in range(100):
        engine.ingest(line)
    interval = engine.rotate(at(10))
    ledger = engine.ledger()
    assert sum(len(event.text) for event in interval.events) <= 1_000_000
    assert len(interval.events) + ledger.shed["too_many_events"] == 100
    engine.ingest(line)
    assert len(engine.rotate(at(20)).events) == 1


def test_a_datagram_cut_behind_a_line_feed_shows_that_something_is_missing(engine):
    engine.ingest(b"a:1|c\na:1|c\n", label="unixgram", cut=True)
    ledger = engine.ledger()
    assert (ledger.aggregated, ledger.rejected) == (2, {"truncated": 1})


def test_what_clients_say_they_dropped_is_added_up_by_reason(engine):
    for tick in (1, 2):
        engine.ingest(
            b"vitald.client.dropped:3|c|#reason:buffer_full\n"
            b"vitald.client.dropped:2|c|#reason:buffer_full,service:shop\n"
            b"vitald.client.dropped:1|c|#reason:refused\nother:1|c|#reason:refused"
        )
        engine.rotate(at(tick * 10))
    assert engine.ledger().client_reported == {"dropped_buffer_full": 10, "dropped_refused": 2}


def test_the_reasons_that_clients_choose_are_bounded_and_only_counters_report(engine):
    lines = [b"vitald.client.dropped:1|c|#reason:r%d" % number for number in range(500)]
    engine.ingest(b"\n".join([*lines, b"vitald.client.dropped:7|g"]))
    engine.rotate(at(10))
    reported = engine.ledger().client_reported
    assert sum(reported.values()) == 500
    assert len(reported) <= 101


def test_more_lines_than_may_wait_are_counted_to_the_last_one(engine):
    hot = b"\n".join([b"hot:1|c"] * 5000)
    mixed = b"\n".join(b"a%d:1|c\ng%d:1|g\ng%d:+1|g" % (i, i, i) for i in range(1000))
    for _ in range(60):
        engine.ingest(hot, label="udp")
        engine.ingest(mixed, label="udp")
    ledger = engine.ledger()
    assert (ledger.lines, ledger.aggregated) == (60 * 8000, 60 * 8000)
    engine.rotate(at(10))
    rows = {row.name: row for row in ask(engine).values()}
    assert rows["hot"].sum == 300_000
    assert {rows[f"a{i}"].sum for i in range(1000)} == {60}
    assert {rows[f"g{i}"].last for i in range(1000)} == {2}


GOOD_LINES = (
    b"a:1|c", b"a:1:2:3|ms|@0.1", b"a:-5|g", b"a:x:y|s", b"a:1|c:2|g", b"a;t=1:1|c|#b:2,a:1",
    b"a:1|h|@1e-9|#t:1|c:ci-x|T1700000005", b"_e{5,4}:title|text|p:low", b"_sc|name|0|m:hi",
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(GOOD_LINES),
            st.integers(0, 40),
            st.binary(max_size=3),
            st.integers(0, 3),
        ),
        max_size=40,
    ),
    st.booleans(),
)
def test_mutated_good_lines_are_each_accounted_for_once(mutations, cut):
    lines = [line[:at] + noise + line[at + skip :] for line, at, noise, skip in mutations]
    datagram = b"\n".join(lines)
    whole = datagram.split(b"\n")
    last = [whole.pop()] if cut else []
    expected = sum(line not in {b"", b"\r"} for line in whole) + len(last)
    for build in ENGINES.values():
        engine = build(at(0))
        engine.ingest(datagram, label="udp", cut=cut)
        ledger = engine.ledger()
        assert_balanced(ledger)
        assert ledger.lines == expected
        engine.rotate(at(10))
        assert_balanced(engine.ledger())

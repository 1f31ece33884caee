"""What a client sends, added up by both engines, is what was recorded: at every mix of rates."""

from __future__ import annotations

import random
from collections import defaultdict
from math import fsum

import pytest
from engines import ENGINES, ask, at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MODES = {
    "summed": {},
    "one value a line": {"packed": False},
    "small datagrams": {"datagram_size": 64},
    "exact": {"aggregate": False},
}
several = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
rates = st.sampled_from([1, 1.0, 0.5, 0.25, 0.1, 1 / 3, 0.001])
draws = st.floats(0, 1, exclude_max=True)
tags = st.sampled_from([None, {"queue": "mail"}, ("queue:mail",), [("n", 1)]])


@pytest.fixture(params=ENGINES)
def aggregate(request, make_client, udp, monkeypatch):
    """Let a client record; return the rows that an engine makes of its datagrams."""

    def run(mode, chances, record):
        udp.datagrams.clear()
        monkeypatch.setattr(random, "random", lambda: next(chances))
        client = make_client(udp.url, **MODES[mode])
        record(client)
        client.close()
        udp.lines()
        engine = ENGINES[request.param](at(0))
        for datagram in udp.datagrams:
            engine.ingest(datagram)
        engine.rotate(at(10))
        return ask(engine)

    return run


@pytest.mark.parametrize("mode", MODES)
@several
@given(calls=st.lists(st.tuples(st.integers(-5, 5), rates, draws, tags), max_size=30))
def test_counters_of_mixed_rates_add_up_to_what_was_recorded(aggregate, mode, calls):
    def record(client):
        for index, (count, rate, _, where) in enumerate(calls):
            if index % 2:
                client.incr("jobs", count, rate, tags=where)
            else:
                client.counter("jobs", rate, tags=where).inc(count)

    expected = defaultdict(list)
    for count, rate, chance, where in calls:
        if rate == 1 or chance < rate:
            expected[str(where and dict([*map(_pair, _items(where))]))].append(count / rate)
    chances = iter([chance for _, rate, chance, _ in calls if rate != 1])
    rows = aggregate(mode, chances, record)
    found = {str(dict(row_tags) or None): row.sum for (_, _, row_tags), row in rows.items()}
    assert found.keys() == expected.keys()
    for key, counts in expected.items():
        assert found[key] == pytest.approx(fsum(counts), rel=1e-12, abs=1e-9)
        if mode == "summed" and all(count == int(count) for count in counts):
            assert found[key] == fsum(counts)


def _items(where):
    return where.items() if isinstance(where, dict) else where


def _pair(tag):
    return tuple(tag.split(":")) if isinstance(tag, str) else (tag[0], str(tag[1]))


@pytest.mark.parametrize("mode", MODES)
@several
@given(
    calls=st.lists(
        st.tuples(st.sampled_from(["ms", "h", "d"]), st.floats(0.001, 1e6), rates, draws),
        max_size=30,
    )
)
def test_samples_of_mixed_rates_are_weighted_by_their_own(aggregate, mode, calls):
    def record(client):
        verbs = {"ms": client.timing, "h": client.histogram, "d": client.distribution}
        for kind, value, rate, _ in calls:
            verbs[kind](kind, value, rate)

    weights, sums = defaultdict(list), defaultdict(list)
    for kind, value, rate, chance in calls:
        if rate == 1 or chance < rate:
            weights[kind].append(1 / rate)
            sums[kind].append(value / rate)
    chances = iter([chance for _, _, rate, chance in calls if rate != 1])
    rows = aggregate(mode, chances, record)
    found = {name: row for (_, name, _), row in rows.items()}
    assert found.keys() == weights.keys()
    for kind, row in found.items():
        assert row.count == pytest.approx(fsum(weights[kind]), rel=1e-9)
        assert row.sum == pytest.approx(fsum(sums[kind]), rel=1e-9)


@pytest.mark.parametrize("mode", MODES)
@several
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(-9, 9)), min_size=1, max_size=30))
def test_gauges_end_where_they_would_end_one_by_one(aggregate, mode, steps):
    def record(client):
        client.gauge("depth", 3)
        for is_delta, value in steps:
            client.gauge("depth", value, delta=is_delta)

    level = 3
    for is_delta, value in steps:
        level = level + value if is_delta else value
    (row,) = aggregate(mode, iter(()), record).values()
    assert row.last == level


@pytest.mark.parametrize("mode", MODES)
@several
@given(members=st.lists(st.text("ab|:\n", min_size=1, max_size=3), max_size=20))
def test_sets_count_members_once(aggregate, mode, members):
    def record(client):
        for member in members:
            client.set("users", member)

    expected = {member.replace("|", "_").replace("\n", "_") for member in members}
    rows = aggregate(mode, iter(()), record)
    assert [row.unique for row in rows.values()] == ([len(expected)] if expected else [])

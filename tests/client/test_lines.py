"""Values of a given time, beside what has its own tests: events and checks (test_client.py)."""

from __future__ import annotations

import math
import random

import pytest
from engines import ENGINES, START, at, rows_of

from vitald.aggregator.selector import Selector

WHEN = 1_700_000_000


def test_values_of_a_given_time_are_never_merged(client, udp):
    client.incr("jobs", 5, timestamp=WHEN)
    client.incr("jobs", 7, timestamp=WHEN + 1000, tags={"queue": "mail"})
    client.incr("jobs", timestamp=WHEN)
    client.gauge("depth", 7.5, timestamp=WHEN + 0.9, queue="mail")
    client.gauge("depth", 2, delta=True, timestamp=WHEN)
    client.incr("jobs", 2)
    client.flush()
    assert udp.lines() == [
        f"jobs:5|c|T{WHEN}",
        f"jobs:7|c|#queue:mail|T{WHEN + 1000}",
        f"jobs:1|c|T{WHEN}",
        f"depth:7.5|g|#queue:mail|T{WHEN}",
        f"depth:+2|g|T{WHEN}",
        "jobs:2|c",
    ]


def test_a_negative_level_of_a_given_time_stays_in_one_datagram(make_client, udp):
    client = make_client(udp.url, datagram_size=64)
    for _ in range(5):
        client.gauge("depth", -3, timestamp=WHEN)
    client.flush()
    udp.lines()
    assert {data.count(b"\n") % 2 for data in udp.datagrams} == {1}
    assert {data.split(b"\n")[0] for data in udp.datagrams} == {b"depth:0|g|T%d" % WHEN}


def test_prefix_and_constant_tags_are_on_them_too(make_client, udp):
    client = make_client(udp.url, prefix="shop", tags={"env": "prod"})
    client.incr("jobs", timestamp=WHEN)
    client.flush()
    assert udp.lines() == [f"shop.jobs:1|c|#env:prod|T{WHEN}"]


def test_a_sampled_one_stands_for_all_calls(client, udp, monkeypatch):
    monkeypatch.setattr(random, "random", iter([0.0, 0.9]).__next__)
    client.incr("jobs", 3, rate=0.5, timestamp=WHEN)
    client.incr("jobs", 3, rate=0.5, timestamp=WHEN)
    client.flush()
    assert udp.lines() == [f"jobs:6|c|T{WHEN}"]


@pytest.mark.parametrize("when", ["soon", math.nan, math.inf, [], object()])
def test_a_time_that_is_none_is_counted(client, when):
    client.incr("jobs", timestamp=when)
    client.gauge("depth", 1, timestamp=when)
    assert client.stats()["dropped"] == {"bad_argument": 2}


def test_what_is_no_value_or_name_is_counted(client):
    client.incr("jobs", "5", timestamp=WHEN)
    client.gauge("depth", math.nan, timestamp=WHEN)
    client.incr("", timestamp=WHEN)
    client.incr("jobs", tags=5, timestamp=WHEN)
    client.incr("jobs", rate="x", timestamp=WHEN)
    assert client.stats()["dropped"] == {"bad_value": 2, "bad_argument": 3}


def test_a_tag_named_timestamp_still_is_one_on_a_handle(client, udp):
    client.gauge("depth", timestamp="today").set(1)
    client.flush()
    assert udp.lines() == ["depth:1|g|#timestamp:today"]


@pytest.mark.parametrize("name", ENGINES)
def test_both_engines_count_them_at_their_time(name, client, udp):
    client.incr("jobs", 5, timestamp=START + 3)
    client.incr("jobs", 7, timestamp=START + 13)
    client.flush()
    udp.lines()
    engine = ENGINES[name](at(0))
    engine.rotate(at(10))
    for datagram in udp.datagrams:
        engine.ingest(datagram)
    engine.rotate(at(20))
    sums = [
        sum(row.sum for row in rows_of(engine.query(Selector(), window)).values())
        for window in (10, 60)
    ]
    assert sums == [7, 12]

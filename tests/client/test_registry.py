"""Which calls are one series, and what becomes of series beyond the limit."""

from __future__ import annotations

import math
from enum import Enum
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitald.client import registry as registry_module
from vitald.client.tags import canonical
from vitald.wire.encode import tag_field

plain = st.text("ab:,é", max_size=2)
values = plain | st.integers(-2, 2) | st.booleans() | st.sampled_from([0.0, -0.0, 1.0, 1.5])
tags = (
    st.none()
    | st.dictionaries(plain, values, max_size=3)
    | st.lists(plain | st.tuples(plain, values), max_size=3)
    | st.lists(plain, max_size=3).map(tuple)
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls=st.lists(tags, max_size=12))
def test_whatever_was_called_before_a_call_has_the_tags_it_says(make_client, udp, calls):
    udp.datagrams.clear()
    client = make_client(udp.url)
    expected = {}
    for call in [*calls, *calls]:
        client.incr("jobs", tags=call)
        name = "jobs" + tag_field(canonical(call)).removeprefix("|")
        expected[name] = expected.get(name, 0) + 1
    client.close()
    assert udp.totals().counters == expected


@pytest.mark.parametrize("limit", [0, 10])
def test_totals_hold_beyond_the_limit(make_client, udp, limit):
    client = make_client(udp.url, series_limit=limit)
    for number in range(200):
        client.incr(f"jobs.{number}", number)
        client.timing("render", number, tags={"n": number})
        client.set("users", f"user {number}", tags={"n": number})
        client.incr(f"bad.{number}", None)
    assert client.stats()["series"] == limit
    assert client.flush()
    totals = udp.totals()
    counters = {name: n for name, n in totals.counters.items() if "client" not in name}
    assert sum(counters.values()) == sum(range(200))
    assert sum(sum(totals.values(key)) for key in totals.samples) == sum(range(200))
    assert len(set().union(*totals.members.values())) == 200
    assert client.stats()["dropped"] == {"bad_value": 200}
    assert len(totals.counters) + len(totals.samples) + len(totals.members) <= limit + 6


def test_a_series_beyond_the_limit_goes_where_the_sidecar_would_put_it(make_client, udp):
    client = make_client(udp.url, series_limit=2, tags={"env": "prod"}, prefix="shop")
    for _ in range(2):
        for number in range(4):
            client.incr("jobs", tags={"n": number})
        client.counter("jobs", n=9).inc()
        client.incr("other")
        client.gauge("jobs", 7)
    client.flush()
    assert sorted(udp.lines()) == [
        "shop.jobs:2|c|#env:prod,n:0",
        "shop.jobs:2|c|#env:prod,n:1",
        "shop.jobs:6|c|#env:prod,overflow:true",
        "vitald.overflow:2|c|#env:prod,overflow:true",
        "vitald.overflow:7|g|#env:prod,overflow:true",
    ]


def test_the_stats_tell_what_overflowed_and_whose_fault_it_is(make_client, udp):
    client = make_client(udp.url, series_limit=20)
    client.incr("plain")
    assert client.stats()["offenders"] == {}
    for number in range(50):
        client.incr("requests", tags={"path": f"/{number}"})
    client.flush()
    stats = client.stats()
    assert (stats["series"], stats["overflowed"]) == (20, 31)
    assert stats["offenders"] == {"requests": 19, "plain": 1}


def test_there_is_room_again_when_series_were_forgotten(make_client, udp, monkeypatch):
    monkeypatch.setattr("vitald.client.table.IDLE_FLUSHES", 2)
    client = make_client(udp.url, series_limit=2)
    for number in range(4):
        client.incr("jobs", tags={"n": number})
    for _ in range(4):
        client.flush()
    assert client.stats()["series"] == 0
    assert client._flusher.table.overflow == {}
    client.incr("jobs", tags={"n": 3})
    client.flush()
    assert udp.totals().counters["jobs#n:3"] == 1


def test_a_handle_beyond_the_limit_records_and_nothing_grows(make_client, udp):
    client = make_client(udp.url, series_limit=3)
    for number in range(500):
        client.counter("jobs", n=number).inc()
    assert len(client._flusher.table.series) == 5
    client.flush()
    assert sum(udp.totals().counters.values()) == 500


def test_what_is_remembered_of_calls_is_bounded(make_client, udp, monkeypatch):
    monkeypatch.setattr(registry_module, "_CACHE_LIMIT", 20)
    client = make_client(udp.url)
    for number in range(100):
        client.incr("jobs", tags={"n": str(number % 40)})
    assert len(client._counters) == 20
    client.flush()
    assert sum(udp.totals().counters.values()) == 100


def test_a_handle_and_a_verb_share_one_series(client, udp):
    handle = client.gauge("depth", queue="mail")
    handle.set(1)
    client.gauge("depth", 2, tags={"queue": "mail"})
    client.gauge("depth", 3, tags=["queue:mail"])
    client.gauge("depth", 4, queue="mail")
    client.gauge("depth", 5, tags="queue:mail")
    client.flush()
    assert udp.lines() == ["depth:5|g|#queue:mail"]


def test_the_order_of_tags_makes_no_other_series(client, udp):
    client.gauge("depth", 1, tags={"a": "1", "b": "2"})
    client.gauge("depth", 2, tags={"b": "2", "a": "1"})
    client.gauge("depth", 3, tags=(tag for tag in ["b:2", "a:1"]))
    client.flush()
    assert udp.lines() == ["depth:3|g|#a:1,b:2"]


def test_tag_values_that_are_equal_in_python_stay_apart(client, udp):
    for _ in range(2):
        for value in (1, True, 1.0, "1", 0.0, -0.0):
            client.incr("jobs", tags={"v": value})
    client.flush()
    assert sorted(udp.lines()) == [
        "jobs:2|c|#v:-0.0",
        "jobs:2|c|#v:0.0",
        "jobs:2|c|#v:1.0",
        "jobs:2|c|#v:True",
        "jobs:4|c|#v:1",
    ]


class Word(str, Enum):
    """Equal to its text, and printed as something else."""

    MAIL = "mail"


def test_a_text_of_another_class_is_told_from_the_text_it_equals(client, udp):
    for _ in range(2):
        client.incr("jobs", tags={"queue": "mail"})
        client.incr("jobs", tags={"queue": Word.MAIL})
        client.incr("jobs", tags={Word.MAIL: "1"})
        client.incr("jobs", tags={"mail": "1"})
        client.incr("jobs", tags=[Word.MAIL])
        client.incr("jobs", tags=["mail"])
    client.flush()
    assert sorted(udp.lines()) == [
        "jobs:2|c|#Word.MAIL",
        "jobs:2|c|#Word.MAIL:1",
        "jobs:2|c|#mail",
        "jobs:2|c|#mail:1",
        "jobs:2|c|#queue:Word.MAIL",
        "jobs:2|c|#queue:mail",
    ]


@pytest.mark.parametrize(
    "tags",
    [
        {"queue": "mail", "n": 1},
        [("queue", "mail"), ("n", 1)],
        (("n", 1), ["queue", "mail"]),
        ("queue:mail", "n:1"),
        ["n:1", ("queue", "mail")],
        {"queue": "mail", "n": 1}.items(),
        MappingProxyType({"queue": "mail", "n": 1}),
        "queue:mail,n:1",
    ],
    ids=repr,
)
def test_every_way_to_write_tags_means_the_same_in_every_verb(client, udp, tags):
    for _ in range(2):
        client.incr("jobs", tags=tags)
        client.gauge("depth", 1, tags=tags)
        client.set("users", "ann", tags=tags)
        client.timing("render", 1, tags=tags)
        client.histogram("size", 1, tags=tags)
        client.distribution("wait", 1, tags=tags)
    client.flush()
    assert sorted(udp.lines()) == [
        "depth:1|g|#n:1,queue:mail",
        "jobs:2|c|#n:1,queue:mail",
        "render:1:1|ms|#n:1,queue:mail",
        "size:1:1|h|#n:1,queue:mail",
        "users:ann|s|#n:1,queue:mail",
        "wait:1:1|d|#n:1,queue:mail",
    ]


def test_a_tag_list_that_changes_later_does_not_relabel_what_was_counted(client, udp):
    tags = ["a:1"]
    client.incr("jobs", tags=tags)
    tags[0] = "a:2"
    client.incr("jobs", tags=tags)
    client.flush()
    assert sorted(udp.lines()) == ["jobs:1|c|#a:1", "jobs:1|c|#a:2"]


def test_a_rate_that_is_no_number_is_a_bad_argument(make_client, udp):
    client = make_client(udp.url)
    client.incr("jobs", rate=math.nan)
    client.timing("render", 1, rate=math.nan)
    client.incr("jobs", rate=math.nan, timestamp=1_700_000_000)
    client.counter("jobs", rate=math.nan).inc()
    assert client.stats()["dropped"] == {"bad_argument": 4}


def test_tags_of_one_text_and_two_types_are_told_apart(make_client, udp):
    client = make_client(udp.url)
    for value in (b"x", "b'x'", b"x"):
        client.timing("render", 1, rate=0.999999, tags={"k": value})
        client.timing("render", 2, tags=[("k", value)])
    client.flush()
    keys = {key for key, samples in udp.totals().samples.items() if samples}
    assert keys == {"render#k:x", "render#k:b'x'"}

"""The verbs and handles, as a receiver sees them."""

from __future__ import annotations

import datetime as dt
import math
import random
import threading
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

fast = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_every_verb_sends_its_line(client, udp):
    client.incr("jobs")
    client.decr("free", 2)
    client.gauge("depth", 7.5)
    client.set("users", "ann")
    client.timing("render", 12.5)
    client.timing("render", dt.timedelta(milliseconds=3))
    client.histogram("size", 10)
    client.distribution("wait", 0.25)
    client.event("deploy", "v2", alert_type="success")
    client.service_check("db", 2, message="down")
    assert client.flush()
    assert sorted(udp.lines()) == sorted(
        [
            "_e{6,2}:deploy|v2|t:success",
            "_sc|db|2|m:down",
            "jobs:1|c",
            "free:-2|c",
            "depth:7.5|g",
            "users:ann|s",
            "render:12.5:3|ms",
            "size:10|h",
            "wait:0.25|d",
        ]
    )


def test_every_handle_sends_what_its_verb_sends(client, udp):
    counter = client.counter("jobs", queue="mail")
    counter.inc()
    counter.inc(4)
    counter.dec(2)
    gauge = client.gauge("depth", queue="mail")
    gauge.set(5)
    gauge.inc(2)
    gauge.dec()
    client.set("users", tags=["site:eu"]).add(b"ann")
    client.timer("render", view="home").record(2)
    client.histogram("size", page="home").record(3)
    client.distribution("wait", tags={"queue": "mail"}).record(4)
    client.flush()
    assert sorted(udp.lines()) == [
        "depth:6|g|#queue:mail",
        "jobs:3|c|#queue:mail",
        "render:2|ms|#view:home",
        "size:3|h|#page:home",
        "users:ann|s|#site:eu",
        "wait:4|d|#queue:mail",
    ]


def test_prefix_and_constant_tags_are_on_everything_and_a_call_may_override(make_client, udp):
    client = make_client(udp.url, prefix="shop.", tags={"env": "prod", "a": "0"})
    client.incr("jobs", tags={"a": "1"})
    client.counter("jobs").inc()
    client.service_check("db", 0)
    client.flush()
    assert sorted(udp.lines()) == [
        "_sc|db|0|#a:0,env:prod",
        "shop.jobs:1|c|#a:0,env:prod",
        "shop.jobs:1|c|#a:1,env:prod",
    ]


def test_a_negative_gauge_is_a_zero_and_a_decrement_in_one_datagram(make_client, udp):
    client = make_client(udp.url, datagram_size=64)
    for index in range(20):
        client.gauge(f"gauge.number.{index}", -5)
    client.flush()
    udp.lines()
    for data in udp.datagrams:
        lines = data.decode().split("\n")
        assert len(data) <= 64
        assert lines[0].endswith(":0|g")
        assert lines[1].endswith(":-5|g")


@fast
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(-100, 100)) | st.just("flush"), max_size=30
    ),
    start=st.integers(-10, 10),
)
def test_gauges_and_deltas_end_where_they_would_end_one_by_one(make_client, udp, steps, start):
    udp.datagrams.clear()
    client = make_client(udp.url)
    client.gauge("depth", start)
    expected = start
    for step in steps:
        if step == "flush":
            client.flush()
        else:
            is_delta, value = step
            client.gauge("depth", value, delta=is_delta)
            expected = expected + value if is_delta else value
    client.close()
    assert udp.totals().gauges["depth"] == expected


@fast
@given(counts=st.lists(st.integers(-(2**60), 2**60), min_size=1))
def test_whole_counts_are_exact_at_any_size(client, udp, counts):
    udp.datagrams.clear()
    for count in counts:
        client.incr("jobs", count)
    client.flush()
    assert udp.totals().counters["jobs"] == sum(counts)


@fast
@given(
    samples=st.lists(
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20),
        min_size=1,
        max_size=300,
    )
)
def test_every_sample_arrives_with_its_exact_value(client, udp, samples):
    udp.datagrams.clear()
    for sample in samples:
        client.distribution("wait", sample)
    client.flush()
    assert udp.totals().values("wait") == sorted(map(float, samples))
    assert max(map(len, udp.datagrams)) <= 1432


def test_a_sum_of_floats_is_rounded_once(client, udp):
    for _ in range(1000):
        client.incr("seconds", 0.1)
    client.flush()
    assert float(udp.totals().counters["seconds"]) == math.fsum([0.1] * 1000)


def test_a_sampled_count_stands_for_all_calls_and_samples_say_their_rate(client, udp, monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)
    client.incr("jobs", 3, rate=0.5)
    client.incr("jobs", 1, rate=0.1)
    client.incr("jobs", 1)
    client.decr("jobs", 1, rate=0.5)
    client.counter("jobs", rate=0.25).inc(2)
    client.counter("jobs", rate=0.25).dec()
    client.timing("render", 5, rate=0.25, tags={"a": "1"})
    client.timing("render", 6, tags={"a": "1"})
    client.timer("render", rate=0.25, a="1").record(7)
    client.flush()
    assert sorted(udp.lines()) == [
        f"jobs:{6 + 10 + 1 - 2 + 8 - 4}|c",
        "render:5:7|ms|@0.25|#a:1",
        "render:6|ms|#a:1",
    ]


@pytest.mark.parametrize("count", [Decimal("1.5"), Fraction(3, 2), 1.5])
def test_whatever_is_a_number_can_be_sampled(client, udp, monkeypatch, count):
    monkeypatch.setattr(random, "random", lambda: 0.0)
    client.incr("jobs", count, rate=0.5)
    client.counter("jobs", rate=0.5).inc(count)
    client.flush()
    assert udp.lines() == ["jobs:6|c"]


@pytest.mark.parametrize("count", ["5", None, 10**400, math.nan])
def test_a_sampled_count_that_is_no_number_is_counted(client, monkeypatch, count):
    monkeypatch.setattr(random, "random", lambda: 0.0)
    client.incr("jobs", count, rate=0.5)
    client.counter("jobs", rate=0.5).inc(count)
    client.flush()
    assert client.stats()["dropped"] == {"bad_value": 2}


def test_the_share_of_calls_that_is_recorded_is_the_rate(client, udp):
    random.seed(7)
    for _ in range(20_000):
        client.incr("jobs", rate=0.25)
    client.flush()
    assert udp.totals().counters["jobs"] == pytest.approx(20_000, rel=0.05)


@pytest.mark.parametrize("rate", [0, -1, 0.0])
def test_a_rate_of_nothing_records_nothing(client, udp, rate):
    client.incr("jobs", rate=rate)
    client.counter("jobs", rate=rate).inc()
    client.incr("end")
    client.flush()
    assert udp.lines() == ["end:1|c"]


def test_gauges_and_sets_are_never_sampled(client, udp):
    for index in range(50):
        client.gauge("depth", index, 0.01)
        client.set("users", index, 0.01)
    client.flush()
    assert udp.totals().gauges == {"depth": 49}
    assert len(udp.totals().members["users"]) == 50


def test_a_set_sends_each_member_once_a_flush(client, udp):
    for _ in range(3):
        client.set("users", "ann")
        client.set("users", 7)
    client.flush()
    client.set("users", "ann")
    client.flush()
    assert sorted(udp.lines()) == ["users:7|s", "users:ann|s", "users:ann|s"]


class Hostile:
    """Raises wherever it is touched."""

    def _raise(self, *_):
        raise RuntimeError("hostile")

    __str__ = __repr__ = __float__ = __neg__ = __lt__ = __ge__ = __add__ = __radd__ = _raise
    __hash__ = __eq__ = __iter__ = __index__ = _raise


BAD_VALUES = [None, "5", b"5", "", [], {}, (1,), math.nan, math.inf, -math.inf, 10**400, Hostile()]


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: type(value).__name__)
def test_a_value_that_is_no_number_is_counted_and_harms_nothing_beside_it(client, udp, value):
    for verb in (client.incr, client.decr, client.timing, client.histogram, client.distribution):
        for one in (1, value, 2):
            verb(verb.__name__, one)
    client.gauge("level", 1)
    client.gauge("level", value)
    client.gauge("level", value, delta=True)
    client.gauge("level", 1, delta=True)
    assert client.flush()
    totals = udp.totals()
    assert (totals.counters["incr"], totals.counters["decr"]) == (3, -3)
    for name in ("timing", "histogram", "distribution"):
        assert totals.values(name) == [1, 2]
    assert totals.gauges["level"] == 2
    assert client.stats()["dropped"] == {"bad_value": 7}
    assert totals.counters["vitald.client.dropped#reason:bad_value"] == 7


@pytest.mark.parametrize(
    "name", [None, "", b"x", 5, [], Hostile()], ids=lambda name: type(name).__name__
)
def test_a_name_that_is_no_name_is_counted(client, udp, name):
    client.incr(name)
    client.gauge(name, 1)
    client.timing(name, 1, tags={"a": 1})
    client.set(name, 1)
    client.timer(name).record(1)
    client.counter(name).inc()
    assert client.flush()
    assert client.stats()["dropped"] == {"bad_argument": 6}
    assert udp.lines() == ["vitald.client.dropped:6|c|#reason:bad_argument"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"tags": 5},
        {"tags": [5]},
        {"tags": {"a": Hostile()}},
        {"tags": Hostile()},
        {"rate": "x"},
        {"rate": None},
        {"rate": Hostile()},
    ],
)
def test_tags_and_rates_that_are_none_are_counted(client, arguments):
    client.incr("jobs", **arguments)
    client.timing("render", 1, **arguments)
    client.counter("jobs", **arguments).inc()
    assert client.stats()["dropped"] == {"bad_argument": 3}


def test_events_and_checks_that_cannot_be_encoded_are_counted(client):
    client.event("")
    client.event("title", alert_type="fatal")
    client.event("title", no_such_field=1)
    client.service_check("db", 9)
    client.service_check("", 0)
    assert client.stats()["dropped"] == {"bad_argument": 5}


def test_nothing_a_name_holds_makes_a_second_line(client, udp):
    client.incr("a:1|c\nb", tags={"k\n": "v|#x,y"})
    client.set("s", "m|c\nx:1|c")
    client.flush()
    assert sorted(udp.lines()) == ["a_1_c_b:1|c|#k_:v_#x_y", "s:m_c_x:1_c|s"]


@pytest.mark.parametrize(
    ("value", "sent"), [(Decimal("1.5"), "1.5"), (Fraction(1, 4), "0.25"), (True, "1")]
)
def test_other_kinds_of_numbers_are_numbers(client, udp, value, sent):
    client.incr("jobs", value)
    client.gauge("depth", value)
    client.timing("render", value)
    client.flush()
    assert sorted(udp.lines()) == [f"depth:{sent}|g", f"jobs:{sent}|c", f"render:{sent}|ms"]


def test_no_datagram_is_longer_than_the_limit(make_client, udp):
    client = make_client(udp.url, datagram_size=100)
    for index in range(300):
        client.incr(f"counter.{index}")
        client.timing("render", index + 0.125, tags={"view": "home"})
    client.flush()
    totals = udp.totals()
    assert max(map(len, udp.datagrams)) <= 100
    assert len(totals.counters) == 300
    assert totals.values("render#view:home") == [index + 0.125 for index in range(300)]


def test_a_line_longer_than_the_datagram_goes_alone_and_one_longer_than_any_is_counted(client, udp):
    client.incr("a" * 2000)
    client.incr("b" * 70_000)
    client.incr("c")
    client.flush()
    totals = udp.totals()
    assert set(totals.counters) == {"a" * 2000, "c", "vitald.client.dropped#reason:too_long"}
    assert client.stats()["dropped"] == {"too_long": 1}


def test_threads_that_share_a_client_lose_nothing(make_client, udp):
    client = make_client(udp.url, flush_interval=0.01)
    shared = client.counter("shared")
    threads, calls = 4, 20_000

    def work(number):
        for index in range(calls):
            shared.inc()
            client.incr("jobs", 2, tags={"thread": number})
            client.timing("render", index)
            client.gauge("depth", 1, delta=True)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert client.flush(timeout=20)
    totals = udp.totals()
    assert totals.counters["shared"] == threads * calls
    assert [totals.counters[f"jobs#thread:{number}"] for number in range(threads)] == [
        2 * calls
    ] * threads
    assert len(totals.samples["render"]) == threads * calls
    assert sum(value for value, _ in totals.samples["render"]) == threads * sum(range(calls))
    assert totals.gauges["depth"] == threads * calls
    assert client.stats()["dropped"] == {}
    assert client.stats()["sent"] == 4 * threads * calls


def test_values_after_close_are_counted_and_nothing_is_raised(client, udp):
    handle = client.counter("jobs")
    handle.inc()
    assert client.close()
    handle.inc()
    client.incr("jobs")
    client.timing("new", 1)
    client.event("late")
    assert client.stats()["dropped"] == {"closed": 4}
    assert client.stats()["waiting"] == 0
    assert client.close()
    assert udp.lines() == ["jobs:1|c"]


def test_a_client_is_a_block_that_sends_what_was_recorded_in_it(make_client, udp):
    with make_client(udp.url) as client:
        client.incr("jobs")
    assert udp.lines() == ["jobs:1|c"]


def test_the_counts_in_stats_tell_what_became_of_every_call(client, udp):
    for _ in range(5):
        client.incr("jobs")
    client.timing("render", 1)
    assert client.stats()["waiting"] == 6
    client.flush()
    stats = client.stats()
    assert (stats["sent"], stats["waiting"], stats["dropped"]) == (6, 0, {})
    assert (stats["series"], stats["datagrams"], stats["bytes"]) == (
        2,
        1,
        len("jobs:5|c\nrender:1|ms"),
    )
    assert stats["target"] == udp.url
    assert stats["error"] == ""

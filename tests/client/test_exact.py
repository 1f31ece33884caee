"""Without aggregation a client sends every call, in the order of the calls."""

from __future__ import annotations

import datetime as dt
import random
import threading

import pytest


@pytest.fixture
def exactly(make_client, udp):
    return make_client(udp.url, aggregate=False)


def test_every_call_is_a_line_of_its_own_in_the_order_of_the_calls(exactly, udp, monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)
    client = exactly
    depth, jobs = client.gauge("depth", queue="mail"), client.counter("jobs", rate=0.5)
    client.incr("jobs", 2)
    depth.set(5)
    client.incr("jobs", 3, rate=0.1)
    jobs.inc()
    depth.dec(2)
    client.gauge("depth", -4)
    client.event("deploy", "v2")
    client.timing("render", 1.5)
    client.timer("render").record(dt.timedelta(milliseconds=2))
    client.set("users", "ann")
    client.set("users", "ann")
    client.histogram("size", 3, rate=0.25)
    client.incr("jobs", timestamp=1_700_000_000)
    client.distribution("wait", 4)
    client.incr("jobs")
    assert client.stats()["waiting"] == 15
    assert client.flush()
    assert udp.lines() == [
        "jobs:2|c",
        "depth:5|g|#queue:mail",
        "jobs:3|c|@0.1",
        "jobs:1|c|@0.5",
        "depth:-2|g|#queue:mail",
        "depth:0|g",
        "depth:-4|g",
        "_e{6,2}:deploy|v2",
        "render:1.5|ms",
        "render:2|ms",
        "users:ann|s",
        "users:ann|s",
        "size:3|h|@0.25",
        "jobs:1|c|T1700000000",
        "wait:4|d",
        "jobs:1|c",
    ]
    assert (client.stats()["sent"], client.stats()["dropped"]) == (15, {})


def test_calls_beyond_the_limit_are_counted_by_their_series(make_client, udp):
    client = make_client(udp.url, aggregate=False, series_limit=1)
    for name in ("a", "b", "c", "a", "c"):
        client.incr(name)
    assert client.flush()
    assert client.stats()["overflowed"] == 3
    assert client.stats()["offenders"] == {"a": 1}
    assert udp.totals().counters["vitald.overflow#overflow:true"] == 3


def test_order_holds_over_many_flushes_and_datagrams(make_client, udp):
    client = make_client(udp.url, aggregate=False, flush_interval=0.01, datagram_size=200)
    counters = [client.counter(f"jobs.{number}") for number in range(7)]
    for number in range(5000):
        counters[number % 7].inc(number)
    assert client.flush(timeout=20)
    values = [int(line.split(":")[1].split("|")[0]) for line in udp.lines()]
    assert values == list(range(5000))


def test_threads_lose_nothing_and_each_keeps_its_order(make_client, udp):
    client = make_client(udp.url, aggregate=False, flush_interval=0.01)

    def work(name):
        for number in range(5000):
            client.incr(name, number)

    threads = [threading.Thread(target=work, args=(f"jobs.{name}",)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(timeout=20)
    found = {}
    for line in udp.lines():
        name, _, rest = line.partition(":")
        found.setdefault(name, []).append(int(rest.partition("|")[0]))
    assert found == {f"jobs.{name}": list(range(5000)) for name in range(4)}


@pytest.mark.parametrize("value", [None, "5", float("nan"), 10**400])
def test_a_value_that_is_no_number_is_counted(exactly, udp, value):
    exactly.incr("jobs", value)
    exactly.gauge("depth", value)
    exactly.gauge("depth", value, delta=True)
    exactly.timing("render", value)
    exactly.set("users", "")
    exactly.incr("jobs")
    assert exactly.flush()
    assert udp.lines() == ["jobs:1|c", "vitald.client.dropped:5|c|#reason:bad_value"]


def test_what_nobody_takes_is_bounded_and_the_oldest_goes_first(
    make_client, nobody, start_udp, monkeypatch
):
    monkeypatch.setattr("vitald.client.outbox._KEPT_BYTES", 20 * 1432)
    client = make_client(nobody, aggregate=False)
    for number in range(20_000):
        client.incr("jobs", number)
    assert not client.flush()
    assert len(client._flusher.lines.buffer) == 0
    dropped = client.stats()["dropped"]["buffer_full"]
    assert client.stats()["waiting"] + dropped == 20_000
    receiver = start_udp(client.target.port)
    assert client.flush(timeout=20)
    lines = [line for line in receiver.lines() if line.startswith("jobs")]
    values = [int(line.split(":")[1].split("|")[0]) for line in lines]
    assert values == list(range(dropped, 20_000))


def test_idle_series_are_forgotten_and_those_in_use_are_not(make_client, udp, monkeypatch):
    monkeypatch.setattr("vitald.client.table.IDLE_FLUSHES", 3)
    client = make_client(udp.url, aggregate=False)
    client.incr("once")
    for _ in range(8):
        client.incr("always")
        client.flush()
    assert [key[0] for key in client._flusher.table.known] == [b"always:"]
    client.incr("once")
    client.flush()
    assert udp.totals().counters == {"once": 2, "always": 8}


def test_after_a_close_everything_is_counted_as_closed(exactly, udp):
    handle = exactly.counter("jobs")
    handle.inc()
    assert exactly.close()
    handle.inc()
    exactly.incr("other")
    exactly.event("late")
    assert exactly.stats()["dropped"] == {"closed": 3}
    assert udp.lines() == ["jobs:1|c"]

"""The thread, the bounds, and callers in places where nothing may block."""

from __future__ import annotations

import _thread
import gc
import signal
import socket
import threading
import time

import pytest

from vitald.client import flusher as flusher_module
from vitald.client.series import HARD_LIMIT, LIMIT


def test_a_client_that_records_nothing_has_no_thread(make_client, udp):
    before = _thread._count()
    client = make_client(udp.url)
    client.counter("jobs")
    assert client.flush()
    assert _thread._count() == before
    client.incr("jobs")
    assert client.flush()
    assert _thread._count() == before + 1
    client.close()
    assert _thread._count() == before


def test_values_are_sent_every_interval_without_a_flush(make_client, udp):
    client = make_client(udp.url, flush_interval=0.01)
    client.incr("jobs")
    deadline = time.monotonic() + 20
    while client.stats()["sent"] < 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert udp.lines() == ["jobs:1|c"]


def test_a_burst_of_samples_is_sent_though_the_flusher_may_not_keep_up(client, udp):
    handle = client.timer("render")
    for index in range(50_000):
        handle.record(index)
    assert len(client._flusher._series[1].buffer) <= HARD_LIMIT
    assert client.flush(timeout=20)
    assert udp.totals().values("render") == list(range(50_000))
    assert client.stats()["dropped"] == {}


def test_a_burst_of_counts_and_members_is_folded_in_place(client):
    for index in range(3 * LIMIT):
        client.incr("jobs")
        client.gauge("depth", index)
        client.set("users", index % 10)
    assert all(len(series.buffer) <= LIMIT for series in client._flusher._series)
    assert client.stats()["waiting"] == 9 * LIMIT


def test_a_signal_handler_may_record_whatever_it_interrupts(make_client, udp):
    client = make_client(udp.url, flush_interval=0.01)
    handled = []

    def handler(*_):
        handled.append(1)
        client.incr("handled")
        client.timing("render", 1)
        client.incr("handled.tagged", tags={"n": len(handled) % 50})

    old = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        for _ in range(100_000):
            client.incr("jobs")
            client.timing("render", 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert client.flush(timeout=20)
    totals = udp.totals()
    assert handled
    assert totals.counters["jobs"] == 100_000
    assert totals.counters["handled"] == len(handled)
    assert len(totals.samples["render"]) == 100_000 + len(handled)
    assert sum(v for k, v in totals.counters.items() if "tagged" in k) == len(handled)
    assert client.stats()["dropped"] == {}


def test_a_destructor_and_a_collector_may_record(client, udp):
    class Doomed:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            client.incr("destroyed")

    def collected(phase, _):
        if phase == "stop":
            client.incr("collected")

    gc.callbacks.append(collected)
    try:
        for _ in range(1000):
            Doomed()
            client.timing("render", 1)
        gc.collect()
    finally:
        gc.callbacks.remove(collected)
    assert client.flush()
    assert udp.totals().counters["destroyed"] == 1000
    assert udp.totals().counters["collected"] >= 1


def test_a_value_that_records_or_flushes_when_it_is_read_locks_nothing(client, udp):
    class Nosy:
        def __float__(self):
            client.incr("read")
            flushed.append(client.flush())
            return 1.0

    flushed = []
    client.incr("jobs", Nosy())
    client.timing("render", Nosy())
    start = time.monotonic()
    assert client.flush()
    assert time.monotonic() - start < 1.0
    assert client.flush()
    assert set(flushed) == {False}
    totals = udp.totals()
    assert totals.counters["jobs"] == 1
    assert totals.counters["read"] == len(flushed)


def test_a_flush_waits_for_values_recorded_before_it(make_client, udp):
    client = make_client(udp.url)
    for number in range(30):
        client.incr("jobs")
        assert client.flush()
        assert client.stats()["sent"] == number + 1


def test_a_flush_gives_up_in_time(make_client, monkeypatch):
    asked, release = threading.Event(), threading.Event()

    def slow(*_, **__):
        asked.set()
        release.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = make_client("udp://metrics.invalid")
    start = time.monotonic()
    client.incr("jobs")
    assert time.monotonic() - start < 0.5
    assert not client.flush(timeout=0.05)
    assert asked.wait(20)
    assert not client.close(timeout=0.05)
    assert time.monotonic() - start < 5.0
    release.set()
    assert client.stats()["dropped"] == {"unreachable": 1}


def test_names_are_resolved_by_the_flusher_alone(make_client, monkeypatch):
    threads = []

    def look_up(*_, **__):
        threads.append(threading.get_ident())
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    client = make_client("udp://metrics.invalid")
    client.incr("jobs")
    client.event("deploy")
    client.flush()
    assert threads
    assert threading.get_ident() not in threads
    assert client.stats()["error"] == "Name or service not known"


def test_when_no_thread_can_start_flush_sends_itself(make_client, udp, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(flusher_module, "start_new_thread", refuse)
    client = make_client(udp.url)
    client.incr("jobs")
    assert client.flush()
    assert udp.lines() == ["jobs:1|c"]
    assert client.close()


def test_idle_series_are_forgotten_and_counted_on_when_they_return(make_client, udp, monkeypatch):
    monkeypatch.setattr(flusher_module, "IDLE_FLUSHES", 3)
    client = make_client(udp.url)
    for number in range(100):
        client.incr(f"jobs.{number}", tags={"a": "1"})
        client.incr("plain")
    assert client.stats()["series"] == 101
    for _ in range(5):
        client.flush()
    assert client.stats()["series"] == 0
    client.incr("jobs.7", tags={"a": "1"})
    client.incr("plain")
    client.flush()
    assert udp.totals().counters["jobs.7#a:1"] == 2
    assert udp.totals().counters["plain"] == 101


def test_a_series_that_a_handle_holds_is_never_forgotten(make_client, udp, monkeypatch):
    monkeypatch.setattr(flusher_module, "IDLE_FLUSHES", 2)
    client = make_client(udp.url)
    handle = client.counter("jobs")
    record = client.timer("render").record
    for _ in range(10):
        client.flush()
        client.incr("other")
    handle.inc()
    record(1)
    for _ in range(10):
        client.flush()
        client.incr("other")
    handle.inc()
    client.incr("jobs")
    client.flush()
    assert udp.totals().counters["jobs"] == 3
    assert udp.totals().values("render") == [1]
    assert client._flusher.table.keys() >= {(b"jobs:", b"|c")}


def test_series_come_and_go_under_load_and_nothing_is_lost(make_client, udp, monkeypatch):
    monkeypatch.setattr(flusher_module, "IDLE_FLUSHES", 1)
    client = make_client(udp.url, flush_interval=0.01)
    threads, calls = 3, 10_000

    def work():
        for index in range(calls):
            client.incr(f"jobs.{index % 97}", tags={"a": index % 7})

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert client.flush(timeout=20)
    assert sum(udp.totals().counters.values()) == threads * calls


@pytest.mark.parametrize("limit", [0, 10])
def test_series_beyond_the_limit_are_sent_one_by_one(make_client, udp, monkeypatch, limit):
    monkeypatch.setattr(flusher_module, "SERIES_LIMIT", limit)
    client = make_client(udp.url)
    for number in range(200):
        client.incr(f"jobs.{number}", number)
        client.gauge(f"depth.{number}", -number)
        client.timing("render", number, tags={"n": number})
        client.set("users", "ann", tags={"n": number})
        client.incr(f"bad.{number}", None)
    assert client.stats()["series"] == limit
    assert client.flush()
    totals = udp.totals()
    assert {name: value for name, value in totals.counters.items() if "jobs" in name} == {
        f"jobs.{number}": number for number in range(200)
    }
    assert totals.gauges == {f"depth.{number}": -number for number in range(200)}
    assert len(totals.samples) == len(totals.members) == 200
    assert client.stats()["dropped"] == {"bad_value": 200}


def test_many_series_are_all_sent(make_client, udp):
    client = make_client(udp.url)
    for number in range(5000):
        client.incr(f"jobs.{number}")
    assert client.flush(timeout=20)
    assert len(udp.totals().counters) == 5000


def test_a_defect_in_a_pass_is_counted_and_the_next_pass_goes_on(client, udp, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a defect")

    monkeypatch.setattr(client._flusher.outbox, "expire", fail)
    client.incr("jobs")
    assert not client.flush()
    monkeypatch.undo()
    assert client.flush()
    assert client.stats()["dropped"] == {"error": 1}
    assert udp.totals().counters["vitald.client.dropped#reason:error"] == 1

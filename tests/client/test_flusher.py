"""The thread, the bounds, and callers in places where nothing may block."""

from __future__ import annotations

import _thread
import gc
import signal
import socket
import threading
import time

from vitald.client import flusher as flusher_module
from vitald.client.samples import HARD_LIMIT
from vitald.client.series import LIMIT


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
    # It grows longer for a moment when the flusher is stopped with the lock in its hands.
    assert len(client._flusher.table.series[1].buffer) <= 4 * HARD_LIMIT
    assert client.flush(timeout=20)
    assert udp.totals().values("render") == list(range(50_000))
    assert client.stats()["dropped"] == {}


def test_a_burst_of_counts_and_members_is_folded_in_place(client):
    for index in range(3 * LIMIT):
        client.incr("jobs")
        client.gauge("depth", index)
        client.set("users", index % 10)
    assert all(len(series.buffer) <= LIMIT for series in client._flusher.table.series)
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


def waits_of(client, found):
    flusher = client._flusher
    waits = []
    for samples in found:
        flusher._found = samples
        flusher._adapt()
        waits.append(flusher._wait)
    return waits


def test_the_wait_is_halved_while_there_is_much_and_grows_back(make_client, udp):
    client = make_client(udp.url, flush_interval=0.06)
    many = 4 * LIMIT + 1
    waits = waits_of(client, [many, many, many, many, 0, many, 0, 0, 0, 0])
    assert waits == [0.03, 0.015, 0.01, 0.01, 0.02, 0.01, 0.02, 0.04, 0.06, 0.06]


def test_what_folds_never_shortens_the_wait(make_client, udp, monkeypatch):
    client = make_client(udp.url)
    for number in range(5 * LIMIT):
        client.incr("jobs")
        client.gauge("depth", number)
    client.flush()
    assert client._flusher._wait == 3600
    monkeypatch.setattr(type(client._flusher), "wake", lambda _: None)
    for number in range(5 * LIMIT):
        client.timing("render", number)
    client._flusher._serve()  # one pass finds all of them
    assert client._flusher._wait < 3600


def test_one_value_a_line_for_servers_that_read_no_more(make_client, udp):
    client = make_client(udp.url, packed=False, datagram_size=64)
    for number in range(20):
        client.timing("render", number, tags={"a": "1"})
        client.histogram("size", number / 4)
    client.incr("jobs", 3)
    client.flush()
    lines = udp.lines()
    assert [line for line in lines if line.startswith("render")] == [
        f"render:{number}|ms|#a:1" for number in range(20)
    ]
    assert len(lines) == 41
    assert max(map(len, udp.datagrams)) <= 64

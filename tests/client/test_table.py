"""Series that rest are forgotten, and nothing recorded into them ever is."""

from __future__ import annotations

import threading

from vitald.client import table as table_module


def test_idle_series_are_forgotten_and_counted_on_when_they_return(make_client, udp, monkeypatch):
    monkeypatch.setattr(table_module, "IDLE_FLUSHES", 3)
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
    monkeypatch.setattr(table_module, "IDLE_FLUSHES", 2)
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
    assert client._flusher.table.known.keys() >= {(b"jobs:", b"|c")}


def test_series_come_and_go_under_load_and_nothing_is_lost(make_client, udp, monkeypatch):
    monkeypatch.setattr(table_module, "IDLE_FLUSHES", 1)
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

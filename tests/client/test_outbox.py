"""Nothing is lost while nobody listens, within bounds, and what is dropped is counted."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.client import backlog as backlog_module
from vitald.client import outbox as outbox_module
from vitald.client.accounts import Accounts
from vitald.client.outbox import Outbox, pack
from vitald.client.samples import HARD_LIMIT
from vitald.client.target import parse_url
from vitald.client.transport import open_transport


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=50), st.integers(0, 5))),
    st.integers(1, 120),
)
def test_packing_keeps_every_unit_whole_in_order_and_within_the_size(units, size):
    units = [(unit.replace(b"\n", b"."), samples) for unit, samples in units]
    packed = list(pack(units, size))
    assert [line for data, _ in packed for line in data.split(b"\n")] == [u for u, _ in units]
    assert sum(samples for _, samples in packed) == sum(samples for _, samples in units)
    for data, _ in packed:
        assert len(data) <= size or b"\n" not in data
    for (one, _), (two, _) in pairwise(packed):
        assert len(one) + 1 + len(two.split(b"\n")[0]) > size


def record_some(client, rounds):
    for index in range(rounds):
        client.incr("jobs", 2)
        client.gauge("depth", index)
        client.gauge("level", 1, delta=True)
        client.timing("render", index)
        client.set("users", index)
    client.gauge("below", -5)
    client.event("deploy", "v2")


def check_some(totals, rounds):
    assert totals.counters["jobs"] == 2 * rounds
    assert totals.gauges == {"depth": rounds - 1, "level": rounds, "below": -5}
    assert totals.values("render") == list(range(rounds))
    assert len(totals.members["users"]) == rounds
    assert totals.texts == ["_e{6,2}:deploy|v2"]


def test_what_was_recorded_before_the_receiver_started_arrives(make_client, nobody, start_udp):
    client = make_client(nobody)
    record_some(client, 500)
    for _ in range(3):
        assert not client.flush()
    assert client.stats()["error"] == "connection refused"
    receiver = start_udp(client.target.port)
    assert client.flush()
    check_some(receiver.totals(), 500)
    assert client.stats()["dropped"] == {}
    assert client.stats()["waiting"] == 0


def test_a_receiver_that_restarts_gets_everything_once(make_client, nobody, start_udp, add_up):
    client = make_client(nobody)
    lines = []
    for _ in range(3):
        record_some(client, 50)
        assert not client.flush()
        record_some(client, 50)
        receiver = start_udp(client.target.port)
        assert client.flush()
        lines += receiver.lines()
        receiver.stop()
    totals = add_up(lines)
    assert totals.counters["jobs"] == 600
    assert totals.values("render") == sorted([*range(50)] * 6)
    assert totals.gauges["level"] == 300
    assert client.stats()["dropped"] == {}


def test_a_unix_receiver_that_does_not_read_for_a_while_gets_everything(
    make_client, tmp_path, add_up
):
    path = tmp_path / "statsd.sock"
    lines = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stopped:
        stopped.bind(str(path))
        stopped.setblocking(False)
        client = make_client(f"unixgram://{path}", datagram_size=200)
        record_some(client, 500)
        assert not client.flush(timeout=0.2)
        assert client.stats()["waiting"] > 0
        while not client.flush(timeout=0.05):
            lines += read_queue(stopped)
        lines += read_queue(stopped)
    check_some(add_up(lines), 500)
    assert client.stats()["dropped"] == {}


def read_queue(sock):
    lines = []
    with suppress(BlockingIOError):
        while True:
            lines += sock.recv(65536).decode().split("\n")
    return lines


def test_a_unix_receiver_that_restarts_is_reached_in_the_same_flush(
    make_client, start_unixgram, tmp_path
):
    path = tmp_path / "statsd.sock"
    client = make_client(f"unixgram://{path}")
    for number in range(3):
        receiver = start_unixgram(path)
        client.incr("jobs", number)
        assert client.flush()
        assert receiver.lines() == [f"jobs:{number}|c"]
        receiver.stop()
        path.unlink()
    client.incr("jobs")
    assert not client.flush()


def test_everything_goes_over_a_stream(make_client, stream, read_all, add_up):
    client = make_client(stream.url)
    record_some(client, 500)
    assert client.flush()
    connection = stream.accept()
    client.close()
    check_some(add_up(read_all(connection)), 500)


def test_memory_is_bounded_and_every_value_accounted_for(make_client, nobody, monkeypatch):
    monkeypatch.setattr(backlog_module, "LIMIT", 2000)
    monkeypatch.setattr(outbox_module, "_KEPT_BYTES", 20 * 1432)
    client = make_client(nobody)
    for index in range(30_000):
        client.timing("render", index + 0.5)
        client.incr("jobs")
        if index % 10_000 == 0:
            client.flush()
    stats = client.stats()
    assert client._flusher.backlog.waiting > client._flusher.backlog.samples  # thinned
    assert stats["sent"] + stats["waiting"] + sum(stats["dropped"].values()) == 60_000
    assert client._flusher.backlog.samples <= 2000
    # One more: the datagram that the flusher had in its hand goes back to the front.
    assert len(client._flusher.outbox._kept) <= 21
    assert all(len(series.buffer) <= HARD_LIMIT for series in client._flusher.table.series)


def test_counts_survive_what_samples_do_not(make_client, nobody, start_udp, monkeypatch):
    monkeypatch.setattr(backlog_module, "LIMIT", 5000)
    client = make_client(nobody)
    for index in range(20_000):
        client.incr("jobs")
        client.timing("render", index)
        if index % 1000 == 0:
            assert not client.flush()
    assert not client.flush()
    receiver = start_udp(client.target.port)
    assert client.flush()
    totals = receiver.totals()
    thinned = totals.counters["vitald.client.dropped#reason:thinned"]
    samples = totals.samples["render"]
    assert totals.counters["jobs"] == 20_000
    assert len(samples) + thinned == 20_000
    assert client.stats()["dropped"] == {"thinned": thinned}
    # What is left stands for all of them.
    assert sum(1 / rate for _, rate in samples) == pytest.approx(20_000)
    mean = sum(value / rate for value, rate in samples) / 20_000
    assert mean == pytest.approx(10_000, rel=0.1)


def test_of_what_is_kept_the_oldest_is_dropped_first(make_client, nobody, start_udp, monkeypatch):
    monkeypatch.setattr(outbox_module, "_KEPT_BYTES", 3 * 100)
    client = make_client(nobody, datagram_size=100)
    for number in range(20):
        client.event(f"event number {number} {'x' * 60}")
    assert not client.flush()
    receiver = start_udp(client.target.port)
    assert client.flush()
    texts = receiver.totals().texts
    assert [int(text.split()[2]) for text in texts] == [17, 18, 19]
    assert client.stats()["dropped"] == {"buffer_full": 17}


def test_what_nobody_took_for_long_is_dropped_counted_and_reported(make_client, nobody, start_udp):
    client = make_client(nobody, hold=0)
    record_some(client, 10)
    assert not client.flush()
    assert client.stats()["dropped"] == {"unreachable": 52}
    assert client.stats()["waiting"] == 0
    receiver = start_udp(client.target.port)
    client.incr("jobs")
    assert client.flush()
    assert sorted(receiver.lines()) == [
        "jobs:1|c",
        "vitald.client.dropped:52|c|#reason:unreachable",
    ]
    assert client.flush()
    assert len(receiver.lines()) == 2


@pytest.fixture
def outbox(nobody):
    now = [0.0]
    transport = open_transport(parse_url(nobody))
    outbox = Outbox(transport, Accounts(), size=1432, hold=60.0, clock=lambda: now[0])
    outbox.now = now
    yield outbox
    transport.close()


def test_the_hold_is_counted_from_the_first_refusal(outbox):
    for second in range(0, 60, 10):
        outbox.now[0] = second
        outbox.open()
        outbox.deliver(b"jobs:1|c", 1)
        assert not outbox.expire()
    outbox.now[0] = 60.0
    assert outbox.expire()
    assert len(outbox) == 0


def test_a_datagram_that_was_taken_begins_the_hold_anew(outbox, nobody, start_udp):
    outbox.open()
    outbox.deliver(b"jobs:1|c", 1)
    assert not outbox.expire()
    receiver = start_udp(parse_url(nobody).port)
    outbox.now[0] = 59.0
    outbox.open()
    for datagram, samples in outbox.kept():
        outbox.deliver(datagram, samples, first=True)
    assert not outbox.expire()
    assert receiver.lines() == ["jobs:1|c"]
    receiver.stop()
    outbox.now[0] = 100.0
    outbox.open()
    outbox.deliver(b"jobs:2|c", 1)
    assert not outbox.expire()


def test_the_log_tells_once_that_nobody_listens(outbox, caplog):
    with caplog.at_level(logging.WARNING, "vitald.client"):
        for second in range(3):
            outbox.now[0] = second
            outbox.open()
            outbox.deliver(b"jobs:1|c", 1)
            outbox.expire()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("cannot send metrics to udp://127.0.0.1:")
    assert caplog.messages[0].endswith(": connection refused; keeping them for 60 s")


def test_the_order_of_what_was_kept_is_the_order_it_is_sent_in(outbox, nobody, start_udp):
    for number in range(5):
        outbox.open()
        for datagram, samples in outbox.kept():
            outbox.deliver(datagram, samples, first=True)
        outbox.deliver(b"jobs:%d|c" % number, 1)
    receiver = start_udp(parse_url(nobody).port)
    outbox.open()
    for datagram, samples in outbox.kept():
        outbox.deliver(datagram, samples, first=True)
    assert receiver.lines() == [f"jobs:{number}|c" for number in range(5)]
    assert outbox.is_empty()

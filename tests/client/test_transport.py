"""Sockets against real receivers: present, absent, stopped, restarted."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from contextlib import suppress

import pytest

from vitald.client import transport as transport_module
from vitald.client.target import parse_url
from vitald.client.transport import HELD, LOST, SENT, open_transport


@pytest.fixture
def connect():
    opened = []

    def connect(url):
        transport = open_transport(parse_url(url))
        transport.prepare()
        opened.append(transport)
        return transport

    yield connect
    for transport in opened:
        transport.close()


@pytest.mark.parametrize("kind", ["udp", "unixgram"])
def test_a_datagram_arrives_as_it_is(request, connect, kind):
    receiver = request.getfixturevalue(kind)
    assert connect(receiver.url).send(b"jobs:1|c") == SENT
    assert receiver.lines() == ["jobs:1|c"]


def test_a_datagram_to_a_port_that_nobody_listens_to_is_held_not_lost(connect, nobody, start_udp):
    transport = connect(nobody)
    assert [transport.send(b"jobs:1|c") for _ in range(3)] == [HELD] * 3
    assert transport.error == "connection refused"
    receiver = start_udp(transport.target.port)
    assert transport.send(b"jobs:2|c") == SENT
    assert receiver.lines() == ["jobs:2|c"]


def test_a_refusal_that_comes_late_is_counted_and_the_next_datagram_goes(
    connect, nobody, start_udp
):
    transport = connect(nobody)
    transport._reports_at_once = False  # as from another machine
    assert transport.send(b"lost") == SENT
    receiver = start_udp(transport.target.port)
    assert transport.send(b"jobs:1|c") == SENT
    assert len(transport.late_refusals) == 1
    assert receiver.lines() == ["jobs:1|c"]


def test_a_datagram_longer_than_the_socket_takes_is_lost(connect, udp):
    assert connect(udp.url).send(b"x" * 70_000) == LOST


def test_an_ipv6_address_is_reached(connect):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        sock.settimeout(10)
        transport = connect(f"udp://[::1]:{sock.getsockname()[1]}")
        assert transport.send(b"jobs:1|c") == SENT
        assert sock.recv(100) == b"jobs:1|c"


def test_a_name_with_both_families_is_reached_by_ipv4(connect, udp, monkeypatch):
    both = [
        (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", 1, 0, 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, 17, "", udp.sock.getsockname()),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert connect("udp://metrics").send(b"jobs:1|c") == SENT
    assert udp.lines() == ["jobs:1|c"]


def test_a_name_is_looked_up_again_and_followed(connect, udp, nobody, monkeypatch):
    answers = [("127.0.0.1", parse_url(nobody).port), udp.sock.getsockname()]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", answers[0])],
    )
    now = [1000.0]
    monkeypatch.setattr(transport_module, "monotonic", lambda: now[0])
    transport = connect("udp://metrics")
    assert transport.send(b"jobs:1|c") == HELD
    answers.pop(0)
    now[0] += 59
    transport.prepare()
    assert transport.send(b"jobs:1|c") == HELD
    now[0] += 2
    transport.prepare()
    assert transport.send(b"jobs:1|c") == SENT
    assert udp.lines() == ["jobs:1|c"]
    assert transport.moves == 1


def test_a_name_that_does_not_resolve_is_asked_for_ever_more_rarely(connect, monkeypatch):
    now, asked = [1000.0], []

    def refuse(*_, **__):
        asked.append(now[0] - 1000.0)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(transport_module, "monotonic", lambda: now[0])
    transport = connect("udp://metrics.invalid")
    for _ in range(100):
        now[0] += 1.0
        transport.prepare()
        assert transport.send(b"jobs:1|c") == HELD
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91]
    assert transport.error == "Name or service not known"


def test_a_host_that_no_resolver_takes_is_an_error_and_no_crash(connect):
    transport = connect("udp://" + "x" * 70 + ".example")
    assert transport.send(b"jobs:1|c") == HELD
    assert transport.error


def test_a_full_unix_queue_is_congestion_until_the_receiver_reads(connect, tmp_path):
    path = str(tmp_path / "stopped.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        transport = connect(f"unixgram://{path}")
        sent = 0
        while transport.send(b"%d" % sent) == SENT:
            sent += 1
        assert transport.is_congested
        assert not transport.is_stale
        assert not transport.wait(0.0)
        assert sock.recv(100) == b"0"
        assert transport.wait(10.0)
        assert transport.send(b"more") == SENT
        assert not transport.is_congested


def test_a_unix_receiver_that_starts_late_or_again_is_found(connect, tmp_path, start_unixgram):
    path = tmp_path / "statsd.sock"
    transport = connect(f"unixgram://{path}")
    assert transport.send(b"jobs:1|c") == HELD
    assert transport.error == os.strerror(errno.ENOENT)
    for number in range(3):
        receiver = start_unixgram(path)
        data = b"jobs:%d|c" % number
        if transport.send(data) == HELD:
            assert transport.is_stale
            transport.prepare()
            assert transport.send(data) == SENT
        assert receiver.lines() == [data.decode()]
        receiver.stop()
        path.unlink()


def listen(path):
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    return sock


def waiting(sock):
    with suppress(BlockingIOError):
        while True:
            yield sock.recv(100, socket.MSG_DONTWAIT)


def test_a_unix_receiver_that_takes_the_path_over_is_found(connect, tmp_path):
    """The old one still has its socket, and would go on getting everything."""
    path = tmp_path / "statsd.sock"
    with listen(path) as old:
        transport = connect(f"unixgram://{path}")
        assert transport.send(b"jobs:1|c") == SENT
        before = transport._sock
        transport.prepare()
        assert transport._sock is before  # nothing has changed: no new connection
        path.unlink()
        transport.prepare()
        assert transport.send(b"jobs:2|c") == SENT  # better the old one than nobody
        with listen(path) as new:
            transport.prepare()
            assert transport.send(b"jobs:3|c") == SENT
            assert list(waiting(new)) == [b"jobs:3|c"]
            assert list(waiting(old)) == [b"jobs:1|c", b"jobs:2|c"]


def test_a_stream_whose_path_is_taken_over_goes_there(
    connect, tmp_path, start_unix_stream, read_all
):
    path = tmp_path / "statsd.sock"
    old = start_unix_stream(path)
    transport = connect(old.url)
    first = old.accept()
    assert transport.send(b"jobs:1|c") == SENT
    path.unlink()
    new = start_unix_stream(path)
    transport.prepare()
    assert transport.send(b"jobs:2|c") == SENT
    transport.close()
    assert read_all(new.accept()) == ["jobs:2|c"]
    assert read_all(first) == ["jobs:1|c"]


def test_a_taken_over_stream_whose_reader_stopped_sends_the_cut_line_whole(
    connect, tmp_path, start_unix_stream, read_all
):
    path = tmp_path / "statsd.sock"
    old = start_unix_stream(path)
    transport = connect(old.url)
    stopped = old.accept()
    lines = [b"name.%d:1|c" % number for number in range(20_000)]
    assert transport.send(b"\n".join(lines)) == SENT
    assert transport.has_remainder()
    path.unlink()
    new = start_unix_stream(path)
    got = []
    transport.prepare()
    connection = new.accept()
    reader = threading.Thread(target=lambda: got.extend(read_all(connection)))
    reader.start()
    while transport.has_remainder():
        assert transport.wait(10.0)
        transport.prepare()
    transport.close()
    reader.join()
    data = b""
    with stopped:
        while chunk := stopped.recv(65536):
            data += chunk
    whole = data.split(b"\n")[:-1]  # without the line that was cut
    assert whole + [line.encode() for line in got] == lines


def test_lines_over_a_stream_end_in_newlines(connect, stream, read_all):
    transport = connect(stream.url)
    connection = stream.accept()
    assert transport.send(b"jobs:1|c\ndepth:2|g") == SENT
    assert transport.send(b"jobs:3|c") == SENT
    transport.close()
    assert read_all(connection) == ["jobs:1|c", "depth:2|g", "jobs:3|c"]


def test_a_stream_whose_peer_left_connects_again_and_loses_nothing_known(connect, stream, read_all):
    transport = connect(stream.url)
    stream.accept().close()
    while not transport._is_closed_by_peer():
        time.sleep(0.001)
    transport.prepare()
    connection = stream.accept()
    assert transport.send(b"jobs:1|c") == SENT
    transport.close()
    assert read_all(connection) == ["jobs:1|c"]


def test_a_stream_without_a_listener_holds(connect, stream):
    stream.stop()
    transport = connect(stream.url)
    assert transport.send(b"jobs:1|c") == HELD
    assert transport.error


def test_a_stream_that_is_not_read_holds_and_then_sends_everything_once(
    connect, stream, read_all, add_up
):
    transport = connect(stream.url)
    transport._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    connection = stream.accept()
    lines = [b"name.%d:1|c" % number for number in range(500)]
    datagram = b"\n".join(lines)
    sent = 0
    while transport.send(datagram) == SENT:
        sent += 1
    assert transport.is_congested
    got = []
    reader = threading.Thread(target=lambda: got.extend(read_all(connection)))
    reader.start()
    while transport.has_remainder():
        assert transport.wait(10.0)
        transport.prepare()
    transport.close()
    reader.join()
    assert add_up(got).counters == {line.decode()[:-4]: sent for line in lines}


def test_a_line_that_a_lost_connection_cut_is_sent_again_whole(connect, stream, read_all):
    transport = connect(stream.url)
    first = stream.accept()
    datagram = b"\n".join(b"name.%d:1|c" % number for number in range(5000))
    sent = 0
    while transport.send(datagram) == SENT:
        sent += 1
    assert transport.has_remainder()
    cut = transport._frame[: transport._written]
    first.close()
    transport._lose_connection()
    transport.prepare()
    second = stream.accept()
    while transport.has_remainder():
        assert transport.wait(10.0)
    transport.close()
    got = read_all(second)
    assert all(line.startswith("name.") and line.endswith(":1|c") for line in got)
    assert len(got) == 5000 - cut.count(b"\n")
    assert sent > 0

"""The bare sink counts what it is sent: it is what the engine is compared with."""

from __future__ import annotations

import os
import shutil
import socket
import time

import pytest
from benchmarks.processes import BenchmarkError
from benchmarks.sink import BareSinks, build

pytestmark = pytest.mark.timeout(600)  # it is compiled first


@pytest.fixture
def sinks(tmp_path):
    if not shutil.which("cargo"):
        if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
            pytest.fail("cargo is not installed, and VITALD_REQUIRE_SERVERS=1")
        pytest.skip("cargo is not installed")
    made = []

    def start(count=1):
        cpus = (sorted(os.sched_getaffinity(0)) * count)[:count]
        made.append(BareSinks(tmp_path, cpus))
        return made[-1]

    yield start
    for each in made:
        each.process.stop()


def send(port, *datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        for datagram in datagrams:
            sock.send(datagram)


def counts(sinks, datagrams):
    deadline = time.monotonic() + 10
    while (found := sinks.counts()).datagrams < datagrams and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.mark.server("cargo")
def test_every_datagram_and_every_line_is_counted(sinks):
    sink = sinks()
    send(sink.port, b"a:1|c\nb:2|c\nc:3|c", b"d:4|c", b"e:5|g\nf:6|g")
    assert counts(sink, 3)[:2] == (3, 6)


@pytest.mark.server("cargo")
def test_what_came_before_is_still_counted_in_a_later_answer(sinks):
    sink = sinks()
    send(sink.port, b"a:1|c")
    assert counts(sink, 1).datagrams == 1
    send(sink.port, b"a:1|c\nb:1|c")
    assert counts(sink, 2)[:2] == (2, 3)


@pytest.mark.server("cargo")
def test_two_sinks_share_a_port_and_are_counted_together(sinks):
    both = sinks(2)
    for _ in range(20):
        send(both.port, b"a:1|c")
    assert counts(both, 20).datagrams == 20


def test_without_cargo_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    build.cache_clear()
    with pytest.raises(BenchmarkError, match="cannot build nothing: cargo is missing"):
        build("nothing")

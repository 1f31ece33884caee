"""The load generator sends what it says: a benchmark is worth as much as its load."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARES = {b"c": 0.50, b"g": 0.20, b"ms": 0.25, b"s": 0.05}


# What the kernel dropped on a socket: the ninth word of SO_MEMINFO.
SO_MEMINFO = 55
MEMINFO = struct.Struct("=9I")


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.2)
        yield sock


def run(receiver, *options):
    """Return what the generator said it sent, and the datagrams that came."""
    sent, received = run_from(receiver, *options)
    return sent, [datagram for datagram, _ in received]


def senders(receiver, *options):
    """Return the addresses that datagrams came from."""
    _, received = run_from(receiver, *options)
    return {address for _, address in received}


def run_from(receiver, *options):
    address = f"127.0.0.1:{receiver.getsockname()[1]}"
    command = [sys.executable, "-m", "benchmarks.loadgen", address, *options]
    received = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            with contextlib.suppress(TimeoutError):
                while True:
                    received.append(receiver.recvfrom(65536))
        return json.loads(process.stdout.read()), received


def dropped(receiver):
    return MEMINFO.unpack(receiver.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[8]


def shares(lines):
    kinds = Counter(line.rpartition(b"|")[2] for line in lines)
    return {kind: count / len(lines) for kind, count in kinds.items()}


def test_every_datagram_that_is_reported_was_sent(receiver):
    sent, received = run(receiver, "--seconds", "0.5", "--rate", "20000")
    assert sent["datagrams"] == sent["lines"] == len(received) + dropped(receiver) > 5000


def test_single_lines_have_the_mix_and_a_thousand_names_of_each_kind(receiver):
    _, received = run(receiver, "--seconds", "1.8", "--rate", "50000")
    assert shares(received) == pytest.approx(SHARES, abs=0.02)
    assert not any(b"\n" in datagram for datagram in received)
    names = {(line.partition(b":")[0], line.rpartition(b"|")[2]) for line in received}
    # A few may be among what the kernel dropped.
    assert Counter(kind for _, kind in names) == pytest.approx(dict.fromkeys(SHARES, 1000), abs=20)


def test_packed_datagrams_are_full_and_have_the_mix(receiver):
    sent, received = run(receiver, "--seconds", "0.5", "--rate", "2000", "--shape", "packed")
    lines = [line for datagram in received for line in datagram.split(b"\n")]
    assert {len(datagram) for datagram in received} == {1432}
    assert sent["lines"] / sent["datagrams"] == pytest.approx(len(lines) / len(received), abs=0.2)
    assert len(lines) / len(received) == pytest.approx(40, abs=1)
    assert shares(lines) == pytest.approx(SHARES, abs=0.02)


def test_datagrams_come_from_as_many_sockets_as_asked_for(receiver):
    options = ("--seconds", "0.5", "--rate", "5000", "--sockets", "5")
    assert len(senders(receiver, *options)) == 5


def test_whole_datagrams_are_the_same_ones(receiver):
    sent, received = run(receiver, "--seconds", "0.5", "--rate", "5000", "--whole")
    assert sent["datagrams"] == len(received) + dropped(receiver)
    assert shares(received) == pytest.approx(SHARES, abs=0.05)


def test_tags_and_names_are_passed_on(receiver):
    options = ("--shape", "packed", "--tagged", "--names", "7")
    _, received = run(receiver, "--seconds", "0.3", "--rate", "2000", *options)
    lines = [line for datagram in received for line in datagram.split(b"\n")]
    assert all(line.count(b"#") == 1 for line in lines)
    assert len({line.partition(b":")[0] for line in lines}) == 7 * len(SHARES)


def test_it_waits_for_a_line_when_told_to(receiver):
    address = f"127.0.0.1:{receiver.getsockname()[1]}"
    command = [sys.executable, "-m", "benchmarks.loadgen", address, "--wait", "--seconds", "0.1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(TimeoutError):
            receiver.recv(65536)
        output, _ = process.communicate("\n")
    assert json.loads(output)["datagrams"] > 0

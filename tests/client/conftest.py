"""Real receivers on loopback and in temporary directories, and what their lines add up to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections import defaultdict
from fractions import Fraction

import pytest

from vitald.client import Client

END = b"end of what was sent so far"


class Totals:
    """What a StatsD server would make of some lines, exactly."""

    def __init__(self, lines):
        self.counters = defaultdict(Fraction)
        self.gauges = {}
        self.members = defaultdict(set)
        self.samples = defaultdict(list)
        self.texts = []
        for line in lines:
            self._add(line)

    def _add(self, line):
        if line.startswith(("_e{", "_sc|")):
            self.texts.append(line)
            return
        name, _, rest = line.partition(":")
        values, kind, *fields = rest.split("|")
        rate, key = Fraction(1), name
        for field in fields:
            if field.startswith("@"):
                rate = Fraction(float(field[1:]))
            else:
                assert field.startswith("#"), line
                key = f"{name}{field}"
        if kind == "s":
            self.members[key].add(values)
        elif kind == "c":
            self.counters[key] += Fraction(values) / rate
        elif kind == "g":
            is_delta = values[0] in "+-"
            self.gauges[key] = float(values) + (self.gauges.get(key, 0.0) if is_delta else 0.0)
        else:
            assert kind in {"ms", "h", "d"}, line
            self.samples[key] += [(float(value), float(rate)) for value in values.split(":")]

    def values(self, key):
        return sorted(value for value, _ in self.samples[key])


class Receiver:
    """Reads a datagram socket on a thread; `lines()` is all that was sent before the call."""

    def __init__(self, sock, url, reach):
        self.sock, self.url, self.reach = sock, url, reach
        self.datagrams = []
        self._caught_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while data := self.sock.recv(65536):
            if data == END:
                self._caught_up.set()
            else:
                self.datagrams.append(data)

    def lines(self):
        self._caught_up.clear()
        self.reach(END)
        assert self._caught_up.wait(20)
        return [line for data in self.datagrams for line in data.decode().split("\n")]

    def totals(self):
        return Totals(self.lines())

    def stop(self):
        if self._thread.is_alive():
            self.reach(b"")
            self._thread.join(20)
            self.sock.close()


def send_to(family, address):
    def reach(data):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(data, address)

    return reach


class StreamReceiver:
    """Accepts connections one after the other and keeps what each one sent, in order."""

    def __init__(self, family, address, url):
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen()
        self.url = url or f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self):
        self.listener.settimeout(20)
        connection, _ = self.listener.accept()
        connection.settimeout(20)
        return connection

    def stop(self):
        self.listener.close()


@pytest.fixture
def add_up():
    return Totals


@pytest.fixture
def read_all():
    """Return the lines of a connection until its sender closes."""

    def read(connection):
        data = b""
        with connection:
            while chunk := connection.recv(65536):
                data += chunk
        return data.decode().split("\n")[:-1]

    return read


@pytest.fixture
def start_udp():
    """Start receivers, on any port or on a given one."""
    started = []

    def start(port=0):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind(("127.0.0.1", port))
        address = sock.getsockname()
        url = f"udp://127.0.0.1:{address[1]}"
        started.append(Receiver(sock, url, send_to(socket.AF_INET, address)))
        return started[-1]

    yield start
    for receiver in started:
        receiver.stop()


@pytest.fixture
def start_unixgram():
    started = []

    def start(path):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(path))
        reach = send_to(socket.AF_UNIX, str(path))
        started.append(Receiver(sock, f"unixgram://{path}", reach))
        return started[-1]

    yield start
    for receiver in started:
        receiver.stop()


@pytest.fixture
def udp(start_udp):
    return start_udp()


@pytest.fixture
def unixgram(start_unixgram, tmp_path):
    return start_unixgram(tmp_path / "statsd.sock")


@pytest.fixture(params=["tcp", "unix"])
def stream(request, tmp_path):
    path = str(tmp_path / "stream.sock")
    if request.param == "tcp":
        receiver = StreamReceiver(socket.AF_INET, ("127.0.0.1", 0), "")
    else:
        receiver = StreamReceiver(socket.AF_UNIX, path, f"unix://{path}")
    yield receiver
    receiver.stop()


@pytest.fixture
def start_unix_stream():
    started = []

    def start(path):
        started.append(StreamReceiver(socket.AF_UNIX, str(path), f"unix://{path}"))
        return started[-1]

    yield start
    for receiver in started:
        receiver.stop()


@pytest.fixture
def make_client():
    """Make clients that flush only when told to; close them after the test."""
    clients = []

    def make(url=None, **options):
        options.setdefault("flush_interval", 3600)
        clients.append(Client(url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close(timeout=5)


@pytest.fixture
def client(udp, make_client):
    return make_client(udp.url)


@pytest.fixture
def nobody():
    """Return the URL of a UDP port that nobody listens to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return f"udp://127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture
def run_script(udp):
    """Run a service that sends to `udp`; return the finished process."""

    def run(source, *, url=udp.url, check=True):
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source)],
            check=check,
            env={**os.environ, "VITALD_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run

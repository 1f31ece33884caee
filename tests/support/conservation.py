"""Who records how much and ends how, and a receiver that counts what came of it.

A cell of the matrix is one run of `conservation_service.py`. Everything it records can be told from
everything else (a value, a member, an event is recorded once in a run), so that what was lost and
what came twice is seen one by one, and does not cancel out in a sum.
"""

from __future__ import annotations

import array
import itertools
import json
import os
import random
import selectors
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

SERVICE = Path(__file__).with_name("conservation_service.py")

TRANSPORTS = ("udp", "unixgram", "unix", "tcp")
THREADS = (1, 8)
FORKS = ("none", "os.fork", "fork", "forkserver", "spawn")
ENDS = ("return", "sys.exit", "exception", "SIGINT", "threads", "SIGTERM")
AGGREGATE = (True, False)

CHILDREN = 3
EXIT_CODE = 7

# From Linux; Python has no names for them.
SO_RCVBUFFORCE, SO_MEMINFO, MEMINFO_DROPS = 33, 55, 8

MARK = b"vitald.test.mark:1|c"


class Cell(NamedTuple):
    """One combination; `seed` decides what the matrix leaves open."""

    transport: str
    threads: int
    fork: str
    end: str
    aggregate: bool
    seed: int

    def __str__(self):
        mode = "aggregated" if self.aggregate else "exact"
        return f"{self.transport}-{self.threads}-{self.fork}-{self.end}-{mode}"

    def plan(self):
        """Return what the service is told."""
        chance = random.Random(self.seed)
        return {
            "threads": self.threads,
            "fork": self.fork,
            "end": self.end,
            "children": 0 if self.fork == "none" else CHILDREN,
            "exit_code": EXIT_CODE,
            "values": chance.randint(60, 100),
            "aggregate": self.aggregate,
            "flush_interval": chance.choice([0.01, 0.1, 3600]),
        }

    def statuses(self):
        """Return the exit statuses of the service and of each of its children."""
        own = {"sys.exit": EXIT_CODE, "exception": 1, "SIGINT": -2, "SIGTERM": -15}
        # `multiprocessing` makes an exit code of KeyboardInterrupt.
        child = own if self.fork == "os.fork" else {**own, "SIGINT": 1}
        children = self.plan()["children"]
        return own.get(self.end, 0), [child.get(self.end, 0)] * children


def every_cell():
    """Return the full product."""
    product = itertools.product(TRANSPORTS, THREADS, FORKS, ENDS, AGGREGATE)
    return [Cell(*values, seed) for seed, values in enumerate(product)]


def covering_cells():
    """Return a quarter of the product, in which any three dimensions meet in every combination.

    Forks, ends and transports meet in full. Each of these 120 gets one of the four pairs of
    threads and mode, in a Latin square, so that forks and ends meet all four, too.
    """
    pairs = list(itertools.product(THREADS, AGGREGATE))
    chosen = {
        (transport, *pairs[(i + j + k) % len(pairs)], fork, end)
        for i, fork in enumerate(FORKS)
        for j, end in enumerate(ENDS)
        for k, transport in enumerate(TRANSPORTS)
    }
    return [
        cell
        for cell in every_cell()
        if (cell.transport, cell.threads, cell.aggregate, cell.fork, cell.end) in chosen
    ]


class Tally(NamedTuple):
    """What is conserved: sums, and things of which there is one each."""

    sums: dict[str, int]
    things: Counter

    def assert_is(self, expected):
        missing = expected.things - self.things
        extra = self.things - expected.things
        assert not missing, f"{missing.total()} lost, like {list(missing)[:3]}"
        assert not extra, f"{extra.total()} came twice or from nowhere, like {list(extra)[:3]}"
        assert self.sums == expected.sums


def expected_of(plan):
    """Return what a run with this plan records."""
    shares = (1 + plan["children"]) * plan["threads"]
    values = plan["values"]
    things = Counter()
    for share in range(shares):
        numbers = range(share * values, (share + 1) * values)
        things.update(f"render {float(number)}" for number in numbers)
        things.update(f"member {number}" for number in numbers)
        things.update(f"event {number}" for number in numbers[::20])
    ramp = sum(index % 5 for index in range(values))
    sums = {
        "calls": shares * values,
        "handle": shares * ramp,
        "tagged|#kind:b": shares * 2 * values,
        "depth": shares * values,
    }
    return Tally(sums, things)


def tally_of(lines):
    """Parse what arrived, as a server does."""
    sums, things = Counter(), Counter()
    for line in lines:
        if line.startswith("_e{"):
            things[f"event {line.partition(':')[2].partition('|')[0]}"] += 1
            continue
        name, _, rest = line.partition(":")
        values, kind, *fields = rest.split("|")
        name = "|".join([name, *fields])
        if kind == "c":
            sums[name] += int(values)
        elif kind == "g":
            assert values[0] in "+-", f"{line}: only deltas were recorded"
            sums[name] += int(values)
        elif kind == "s":
            things[f"member {values}"] += 1
        else:
            assert kind == "ms", line
            # A number, however it is spelled.
            things.update(f"{name} {float(value)}" for value in values.split(":"))
    return Tally(dict(sums), things)


def run_service(plan, url):
    """Run one service; return its exit status and those it printed of its children."""
    done = subprocess.run(
        [sys.executable, str(SERVICE), json.dumps(plan)],
        env={**os.environ, "VITALD_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


class Sink:
    """Reads an address on a thread: datagrams, or connections of any number."""

    def __init__(self, scheme, folder, port=0):
        self.is_stream = scheme in {"tcp", "unix"}
        is_path = scheme.startswith("unix")
        kind = socket.SOCK_STREAM if self.is_stream else socket.SOCK_DGRAM
        self._sock = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET, kind)
        if scheme == "udp":
            enlarge(self._sock)
        if scheme == "tcp":
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind(str(folder / "sink.sock") if is_path else ("127.0.0.1", port))
        if self.is_stream:
            self._sock.listen(64)
        self._sock.setblocking(False)
        self.address = self._sock.getsockname()
        self.port = 0 if is_path else self.address[1]
        self.url = f"{scheme}://{self.address if is_path else f'127.0.0.1:{self.port}'}"
        self._streams, self._whole = {}, []
        self._is_marked, self._is_closing = threading.Event(), False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def lines(self):
        """Return all that was sent before this call, when every connection has ended."""
        self._mark()
        assert self.kernel_dropped() == 0, "this machine is too slow to read what is sent"
        return self.read()

    def read(self):
        """Return all that was read by now."""
        data = b"".join(whole + b"\n" for whole in self._whole).decode()
        return [line for line in data.split("\n") if line and line != MARK.decode()]

    def close(self):
        """End as a process does, but for what has come already: that is read."""
        if self._sock.fileno() < 0:
            return
        self._is_closing = True
        self._mark()
        self._thread.join(30)
        for connection in list(self._streams):
            self._end(connection)
        self._sock.close()
        if self._sock.family == socket.AF_UNIX:
            Path(self.address).unlink()

    def kernel_dropped(self):
        if self._sock.family == socket.AF_UNIX or self.is_stream:
            return 0
        numbers = array.array("I", self._sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))
        return numbers[MEMINFO_DROPS]

    def _mark(self):
        """Send a mark behind everything, and wait until it is read."""
        self._is_marked.clear()
        with socket.socket(self._sock.family, self._sock.type) as sock:
            sock.connect(self.address)
            sock.sendall(MARK + b"\n" * self.is_stream)
        assert self._is_marked.wait(30), f"{len(self._streams)} connections are open"

    def _run(self):
        is_marked = False
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._sock:
                    is_marked |= self._read(key.fileobj)
                elif self.is_stream:
                    connection, _ = self._sock.accept()
                    self._streams[connection] = []
                    self._selector.register(connection, selectors.EVENT_READ)
                else:
                    self._whole.append(self._sock.recv(65536))
                    is_marked |= self._whole[-1] == MARK
            if is_marked and (self._is_closing or not self._streams):
                is_marked = False
                self._is_marked.set()
                if self._is_closing:
                    self._selector.close()
                    return

    def _read(self, connection):
        """Read once; return whether the mark ended with it."""
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            chunk = b""
        if chunk:
            self._streams[connection].append(chunk)
            return False
        self._selector.unregister(connection)
        return self._end(connection) == MARK + b"\n"

    def _end(self, connection):
        connection.close()
        data = b"".join(self._streams.pop(connection))
        # What a connection ends with inside of a line is rejected by a server.
        self._whole.append(data[: data.rfind(b"\n") + 1])
        return data


def enlarge(sock):
    """Give a socket a receive buffer for all of a run, beyond the machine's limit where allowed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    except PermissionError:
        return

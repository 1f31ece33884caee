"""A UDP socket that a client sends to, read when a test looks at what has come."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from contextlib import contextmanager, suppress

from vitald.client import Client


class Inbox:
    """What came, added up by `name#tags`: counters, the last of gauges, all samples."""

    def __init__(self):
        self.counters = defaultdict(float)
        self.gauges = {}
        self.samples = defaultdict(list)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._sock.bind(("127.0.0.1", 0))
        self.url = f"udp://127.0.0.1:{self._sock.getsockname()[1]}"
        self.client = Client(self.url, flush_interval=3600)

    def read(self):
        """Take what the client of this process recorded so far, and whatever else is here."""
        assert self.client.flush(10)
        self._take()
        return self

    def wait_for(self, condition, seconds=30.0):
        """Read until `condition(self)`; other processes send when they do."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            left = deadline - time.monotonic()
            assert left > 0, (dict(self.counters), dict(self.samples))
            self._take(min(left, 0.2))
        return self

    def close(self):
        self.client.close()
        self._sock.close()

    def _take(self, wait=0.0):
        self._sock.settimeout(wait)
        with suppress(BlockingIOError, TimeoutError):
            while data := self._sock.recv(65536):
                for line in data.decode().split("\n"):
                    self._add(line)
                self._sock.settimeout(0.0)

    def _add(self, line):
        name, _, rest = line.partition(":")
        if name.startswith("vitald."):  # the client's own
            return
        values, kind, *fields = rest.split("|")
        key = name + next((field for field in fields if field.startswith("#")), "")
        numbers = [float(value) for value in values.split(":")]
        if kind == "c":
            self.counters[key] += sum(numbers)
        elif kind == "g":
            self.gauges[key] = numbers[-1]
        else:
            self.samples[key] += numbers


@contextmanager
def open_inbox():
    inbox = Inbox()
    try:
        yield inbox
    finally:
        inbox.close()

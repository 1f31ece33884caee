"""An interval in memory, time that only moves when told, and rows to send."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import os
import ssl
import subprocess
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import cramjam
import pytest
import trustme
from aiohttp import web

from vitald.aggregator.interval import Row
from vitald.clock import Instant
from vitald.metric import Event, MetricType, ServiceCheck
from vitald.sketch import Sketch

END = 1_700_000_010.7


@dataclass(eq=False)
class MemoryInterval:
    """An `Interval` made of given rows."""

    sampled: list[Row] = field(default_factory=list)
    idle: list[Row] = field(default_factory=list)
    start: float = END - 10.0
    end: float = END
    seconds: float = 10.0
    events: list[Event] = field(default_factory=list)
    service_checks: list[ServiceCheck] = field(default_factory=list)
    corrections: list[MemoryInterval] = field(default_factory=list)
    late: list[Row] = field(default_factory=list)

    def rows(self, *, idle=False):
        rows = iter(self.sampled + self.idle if idle else self.sampled)
        while batch := list(itertools.islice(rows, 1000)):
            yield batch


class FakeTime:
    """A clock and the sleep that belongs to it."""

    def __init__(self) -> None:
        self.monotonic = 5000.0
        self.wall = END
        self._sleepers = []
        self._order = itertools.count()

    def now(self) -> Instant:
        return Instant(self.wall, self.monotonic)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.monotonic + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking every sleeper at its own moment."""
        await self.settle()
        end = self.monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._move(due)
            woken.set_result(None)
            await self.settle()
        self._move(end)
        await self.settle()

    async def settle(self) -> None:
        """Run everything that can run without time passing."""
        for _ in range(25):
            await asyncio.sleep(0)

    def _move(self, monotonic: float) -> None:
        self.wall += monotonic - self.monotonic
        self.monotonic = monotonic


def counter(name, value=5.0, tags=()):
    return Row(MetricType.COUNTER, name, tags, count=1.0, sum=value)


def gauge(name, value=2.5, tags=()):
    return Row(MetricType.GAUGE, name, tags, 1.0, value, value, value, last=value)


def unique(name, value=3, tags=()):
    return Row(MetricType.SET, name, tags, count=float(value), unique=value)


def timer(name, values=(1.0, 2.0, 4.0), tags=(), *, rate=1.0, kind=MetricType.TIMER):
    sketch = Sketch()
    sketch.insert(list(values), 1 / rate)
    return Row(kind, name, tags, sketch.count, sketch.sum, sketch.min, sketch.max, histogram=sketch)


class Make:
    """What the tests build their input with."""

    interval = MemoryInterval
    counter = staticmethod(counter)
    gauge = staticmethod(gauge)
    unique = staticmethod(unique)
    timer = staticmethod(timer)


@pytest.fixture
def make():
    return Make


@pytest.fixture
def time():
    return FakeTime()


def missing_server(name):
    """Skip the test, naming the server; fail where all servers are required."""
    if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{name} is not installed, and VITALD_REQUIRE_SERVERS=1")
    pytest.skip(f"needs {name}")


@pytest.fixture(scope="session")
def carbon_python():
    """Return the interpreter that Debian's carbon and whisper belong to."""
    python = "/usr/bin/python3"
    if not Path("/usr/bin/carbon-cache").exists():
        missing_server("graphite-carbon")
    probe = subprocess.run([python, "-c", "import carbon, whisper"], check=False)
    if probe.returncode:
        missing_server("graphite-carbon")
    return python


class Intake:
    """Datadog's intake as far as we can have one: real HTTPS, faults by script.

    `script` has one entry per request, first to last: a status, (status, headers, body), "cut" to
    close the connection or an event to wait for; without an entry the request is accepted.
    """

    def __init__(self, tls):
        self.script = deque()
        self.requests = []
        self.accepted = []
        self._arrived = asyncio.Event()
        self._tls = tls
        self._runner = None
        self.url = ""

    async def start(self):
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self):
        await self._runner.cleanup()

    async def _handle(self, request):
        # aiohttp undoes deflate itself and does not know "zstd1".
        body = await request.read()
        raw = body
        if request.headers.get("Content-Encoding") == "zstd1":
            raw = bytes(cramjam.zstd.decompress(body))
        document = json.loads(raw)
        self.requests.append((request.path, dict(request.headers), document, len(raw)))
        self._arrived.set()
        step = self.script.popleft() if self.script else 202
        if isinstance(step, asyncio.Event):
            await step.wait()
            step = 202
        if step == "cut":
            request.transport.abort()
            return web.Response()
        status, headers, text = step if isinstance(step, tuple) else (step, {}, "{}")
        if status == 202:
            self.accepted.append((request.path, document))
        return web.Response(status=status, headers=headers, text=text)

    async def received(self, count):
        """Wait for that many requests."""
        while len(self.requests) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def series(self):
        """Return every accepted series, in order."""
        return [
            series
            for path, document in self.accepted
            if path == "/api/v2/series"
            for series in document["series"]
        ]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Return a certificate authority, its PEM file and a server's TLS context for 127.0.0.1."""
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return str(file), context


@pytest.fixture
def new_intake():
    return Intake


@pytest.fixture
async def intake(authority):
    server = Intake(authority[1])
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def plain_intake():
    server = Intake(None)
    await server.start()
    yield server
    await server.stop()

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path

import pytest
from engines import ENGINES, Socket, at

from vitald.aggregator.api import Api
from vitald.aggregator.dashboard import Dashboard
from vitald.aggregator.events import EventLog
from vitald.aggregator.python_engine import PythonEngine
from vitald.aggregator.serving import Limits
from vitald.aggregator.sockets import Address
from vitald.clock import Instant
from vitald.status import Status


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, wall=1_700_000_000.0):
        self.wall = wall
        self.monotonic = 5000.0

    def now(self):
        return Instant(self.wall, self.monotonic)

    def advance(self, seconds):
        self.wall += seconds
        self.monotonic += seconds
        return self.now()


@dataclass
class FakeReading:
    key: str
    value: float | None


@dataclass
class FakeResult:
    status: Status
    message: str
    observations: tuple[FakeReading, ...] = ()


@dataclass
class FakeReport:
    """What the dashboard reads of a check's report, and nothing else."""

    name: str
    status: Status = Status.HEALTHY
    type: str = "disk"
    label: str = ""
    message: str = "fine"
    since: float | None = 1_700_000_000.0
    last_run: float | None = 1_700_000_005.5
    duration_seconds: float | None = 0.25
    flags: tuple[str, ...] = ()
    observations: dict[str, float | None] = field(default_factory=dict)
    raw: FakeResult | None = None

    def __post_init__(self):
        self.label = self.label or self.status.word


class World:
    """A dashboard over a real engine, with everything else within reach of the test."""

    def __init__(self):
        self.clock = FakeClock()
        self.engine = PythonEngine(self.clock.now())
        self.events = EventLog(self.clock)
        self.reports = []
        self.performance = {}
        self.missing = []
        self.required = set()
        self.forwarders = []
        self.extra = {}
        self.dashboard = self.build()

    def build(self, **changed):
        arguments = {
            "engine": self.engine,
            "clock": self.clock,
            "host": "web1",
            "version": "1.2.3",
            "started": self.clock.now(),
            "interval": 10.0,
            "health": lambda: self.reports,
            "performance": lambda: self.performance,
            "events": self.events,
            "forwarders": lambda: self.forwarders,
            "ledger_extra": lambda: self.extra,
            "required": lambda: self.required,
            "ready": lambda: self.missing,
            **changed,
        }
        return Dashboard(arguments.pop("engine"), **arguments)

    def take(self, *lines):
        """Receive lines; they are in no answer before the next `seal`."""
        self.engine.ingest("\n".join(lines).encode(), label="udp")

    async def seal(self, *lines, seconds=10.0):
        """Receive lines, let one interval pass and show it to the dashboard."""
        self.take(*lines)
        interval = self.engine.rotate(self.clock.advance(seconds))
        await self.dashboard.observe(interval)
        return interval


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def world():
    return World()


@pytest.fixture
def make_report():
    return FakeReport


@pytest.fixture
def make_result():
    return lambda status, message, readings=(): FakeResult(
        status, message, tuple(FakeReading(*reading) for reading in readings)
    )


@pytest.fixture
def collect():
    """Join what an asynchronous generator yields."""

    async def collected(pieces):
        return "".join([piece async for piece in pieces])

    return collected


@pytest.fixture
def place():
    """A directory with a short path: that of a Unix socket has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="vt-"))
    yield path
    shutil.rmtree(path)


class Response:
    """An HTTP response, read strictly: one that is cut short is an error."""

    class _Stream(io.BytesIO):
        def makefile(self, _mode):
            return self

        def close(self):
            """Stay open: what follows the response is looked at."""

    def __init__(self, data, method="GET"):
        stream = self._Stream(data)
        response = HTTPResponse(stream, method=method)
        response.begin()
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.rest = stream.read()

    def json(self):
        return json.loads(self.body)


class Service:
    """An API over the world's dashboard, and raw ways to talk to it."""

    def __init__(self, world, directory):
        self.world = world
        self.path = directory / "control.sock"
        self.api = None
        self.runs = []
        self._writers = []
        self.reload_result = ["checks"]

    async def run_check(self, name):
        self.runs.append(name)
        return next(report for report in self.world.reports if report.name == name)

    async def reload(self):
        if isinstance(self.reload_result, Exception):
            raise self.reload_result
        return self.reload_result

    async def start(self, **arguments):
        limits = Limits(**arguments.pop("limits", {}))
        arguments = {"run_check": self.run_check, "reload": self.reload, **arguments}
        self.api = Api(self.world.dashboard, limits=limits, **arguments)
        await self.api.start(self.path)

    async def connect(self):
        return self.keep(await asyncio.open_unix_connection(str(self.path)))

    def keep(self, streams):
        """Remember a connection, so that none outlives its test."""
        self._writers.append(streams[1])
        return streams

    @property
    def connections(self):
        """The connections that the control socket's listener holds."""
        return self.api._servers[0]._runner.server.connections

    async def stop(self):
        if self.api is not None:
            await self.api.stop()
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def raw(self, data, connect=None):
        """Send bytes, and return what comes until the other side closes."""
        reader, writer = await (connect or self.connect)()
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()

    async def ask(self, target, method="GET", headers="", connect=None):
        request = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
        return Response(await self.raw(f"{request}\r\n".encode(), connect), method)


@pytest.fixture
async def service(world, place):
    found = Service(world, place)
    yield found
    await found.stop()


@pytest.fixture
def until():
    """Wait for what happens by itself, at most ten seconds."""

    async def wait(condition):
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not happen within ten seconds")

    return wait


@pytest.fixture
def response():
    return Response


@pytest.fixture
def bound():
    """Make bound sockets, each with one that sends to it, and close them."""
    with contextlib.ExitStack() as stack:

        def new(address, **options):
            made = Socket(address, **options)
            stack.callback(made.close)
            return made

        yield new


@pytest.fixture
def udp(bound):
    return lambda **options: bound(Address("udp", "127.0.0.1"), **options)


@pytest.fixture
def unixgram(bound, place):
    paths = (place / f"{number}.sock" for number in itertools.count())
    return lambda: bound(Address("unixgram", path=str(next(paths))))


@pytest.fixture(params=ENGINES)
def new_engine(request):
    def build(**options):
        return ENGINES[request.param](at(0), **options)

    return build


@pytest.fixture
def engine(new_engine):
    return new_engine()

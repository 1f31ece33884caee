"""The clients, each set up as its documentation does it, and the calls that are measured."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Result = TypeVar("Result")

STATSD = "statsd"
DATADOG = "datadog"
AGGREGATED = "datadog, aggregated"
PROMETHEUS = "prometheus_client"
AIODOGSTATSD = "aiodogstatsd"
VITALD = "vitald"
DROP_IN = "vitald StatsClient"


class Call(NamedTuple):
    """A statement, with the names that `CLIENTS` gives it.

    `most` is how many are made in one go, so that what waits to be sent is soon sent.
    """

    client: str
    statement: str
    most: int | None = None

    @property
    def title(self) -> str:
        """Return what its row is called."""
        return f"{self.client}: {self.statement.removesuffix(' pass')}"


class Client:
    """One client: the `names` that statements use."""

    def __init__(
        self,
        names: Mapping[str, Any],
        settle: Callable[[], object] = bool,
        close: Callable[[], object] = bool,
    ) -> None:
        self.names = dict(names)
        self._settle, self._close = settle, close

    def settle(self) -> None:
        """Do, or wait for, what calls have left to be done."""
        self._settle()

    def close(self) -> None:
        """End the client, whatever it has left to do."""
        self._close()

    def run(self, function: Callable[[], Result]) -> Result:
        """Call the function where this client is meant to be used."""
        return function()


class AsyncioClient(Client):
    """aiodogstatsd: calls fill a queue, which a task of the event loop sends one by one."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        client = import_module("aiodogstatsd").Client(host="127.0.0.1", port=port)
        self._loop.run_until_complete(client.connect())
        super().__init__({"client": client, "tags": dict(TAGS)})

    def settle(self) -> None:
        # It has no public name for this, and `close` waits for half a second.
        queue = self.names["client"]._pending_queue  # noqa: SLF001

        async def empty() -> None:
            while not queue.empty():  # noqa: ASYNC110  nor an event
                await asyncio.sleep(0.001)

        self._loop.run_until_complete(empty())

    def run(self, function: Callable[[], Result]) -> Result:
        async def inside() -> Result:
            return function()

        return self._loop.run_until_complete(inside())


TAGS = {"queue": "mail", "region": "eu"}
# datadog's way of spelling them.
LISTED = [f"{key}:{value}" for key, value in TAGS.items()]


def _statsd(port: int) -> Client:
    client = import_module("statsd").StatsClient("127.0.0.1", port)
    return Client({"client": client}, close=client.close)


def _datadog(port: int) -> Client:
    module = import_module("datadog.dogstatsd")
    return Client({"client": module.DogStatsd(host="127.0.0.1", port=port), "tags": LISTED})


def _aggregated(port: int) -> Client:
    client = import_module("datadog.dogstatsd").DogStatsd(
        host="127.0.0.1", port=port, disable_aggregation=False, disable_buffering=False
    )
    return Client({"client": client, "tags": LISTED}, client.flush)


def _prometheus(_: int) -> Client:
    module = import_module("prometheus_client")
    labelled = module.Counter("jobs", "Jobs.", list(TAGS))
    return Client(
        {
            "labelled": labelled,
            "counter": labelled.labels(*TAGS.values()),
            "histogram": module.Histogram("render", "Seconds of rendering."),
        }
    )


def _vitald(port: int) -> Client:
    client = import_module("vitald").Client(f"udp://127.0.0.1:{port}")
    names = {
        "client": client,
        "counter": client.counter("jobs", tags=TAGS),
        "timer": client.timer("handle"),
        "operations": import_module("vitald.client.operations").Operations(client),
        "tags": dict(TAGS),
    }
    return Client(names, lambda: client.flush(5.0), lambda: client.close(0.01))


def _drop_in(port: int) -> Client:
    client = import_module("vitald.client").StatsClient("127.0.0.1", port)
    return Client({"client": client, "tags": dict(TAGS)})


CLIENTS: dict[str, Callable[[int], Client]] = {
    STATSD: _statsd,
    DATADOG: _datadog,
    AGGREGATED: _aggregated,
    PROMETHEUS: _prometheus,
    AIODOGSTATSD: AsyncioClient,
    VITALD: _vitald,
    DROP_IN: _drop_in,
}

# What aiodogstatsd's queue has room for, many times over; one by one they take a while.
_QUEUED = 2_000
# What our thread has encoded within a moment: it works a twentieth of the time.
_SAMPLES = 20_000

STATSD_INCR = Call(STATSD, "client.incr('jobs')")
STATSD_TIMER = Call(STATSD, "with client.timer('render'): pass")
PROMETHEUS_INC = Call(PROMETHEUS, "counter.inc()")
INC = Call(VITALD, "counter.inc()")
INCR = Call(VITALD, "client.incr('jobs')")
INCR_TAGS = Call(VITALD, "client.incr('jobs', tags=tags)")
INCR_LITERAL = Call(VITALD, "client.incr('jobs', tags={'queue': 'mail', 'region': 'eu'})")
INCR_INT = Call(VITALD, "client.incr('jobs', tags={'queue': 'mail', 'code': 200})")
TIMER_HANDLE = Call(VITALD, "with timer: pass", _SAMPLES)
TIMER = Call(VITALD, "with client.timer('render'): pass", _SAMPLES)
GAUGE = Call(VITALD, "client.gauge('depth', 7)")
SET = Call(VITALD, "client.set('users', 'u1')")
TIMING = Call(VITALD, "client.timing('render', 1.25)", _SAMPLES)
TASK = Call(VITALD, "with operations.task('send_mail'): pass", _SAMPLES)

CALLS = (
    STATSD_INCR,
    STATSD_TIMER,
    Call(DATADOG, "client.increment('jobs')"),
    Call(DATADOG, "client.increment('jobs', tags=tags)"),
    Call(DATADOG, "with client.timed('render'): pass"),
    Call(AGGREGATED, "client.increment('jobs')"),
    Call(AGGREGATED, "client.increment('jobs', tags=tags)"),
    PROMETHEUS_INC,
    Call(PROMETHEUS, "labelled.labels('mail', 'eu').inc()"),
    Call(PROMETHEUS, "with histogram.time(): pass"),
    Call(AIODOGSTATSD, "client.increment('jobs')", _QUEUED),
    Call(AIODOGSTATSD, "client.increment('jobs', tags=tags)", _QUEUED),
    Call(AIODOGSTATSD, "with client.timeit('render'): pass", _QUEUED),
    INC,
    INCR,
    INCR_TAGS,
    INCR_LITERAL,
    INCR_INT,
    Call(VITALD, "client.incr('jobs', tags=('queue:mail', 'region:eu'))"),
    GAUGE,
    SET,
    TIMING,
    TIMER_HANDLE,
    TIMER,
    TASK,
    Call(DROP_IN, "client.incr('jobs')"),
    Call(DROP_IN, "client.incr('jobs', tags=tags)"),
)

"""What a service writes: mypy and pyright find nothing, and every type is what `assert_type` says.

Never run; `tests/test_typing.py` has it checked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from datetime import timedelta
from typing import overload

from typing_extensions import assert_type

from vitald import Client
from vitald.client import StatsClient, TCPStatsClient, UnixSocketStatsClient
from vitald.client.declared import Metrics
from vitald.client.handles import Counter, Distribution, Gauge, Histogram, Set, Timer
from vitald.client.operations import Hook, Lock, Operations, Task

client = Client("udp://127.0.0.1:8125", prefix="shop", tags={"env": "prod"}, flush_interval=0.5)
operations = Operations(client)
statsd = StatsClient("localhost", 8125, prefix="shop", maxudpsize=1432, ipv6=False)
metrics = Metrics(client, strict=True)


# Verbs.

client.incr("jobs")
client.incr("jobs", 2, 0.5, tags={"queue": "mail", "shard": 3})
client.incr("jobs", 0.5, tags=["queue:mail", "bare"])
client.decr("jobs", tags=("queue:mail",))
client.gauge("depth", 7)
client.gauge("depth", -2, delta=True)
client.set("users", object())
client.timing("render", 1.5)
client.timing("render", timedelta(seconds=1))
client.histogram("size", 3, rate=0.1)
client.distribution("wait", 0.5, tags=None)
client.event("deploy", "v2", alert_type="success")
client.service_check("db", 0, message="up")
assert_type(client.flush(), bool)
assert_type(client.close(timeout=1), bool)
with Client() as other:
    assert_type(other, Client)


# Handles.

assert_type(client.counter("jobs", queue="mail"), Counter)
assert_type(client.gauge("depth"), Gauge)
assert_type(client.gauge("depth", tags={"rate": "1"}, queue="mail"), Gauge)
assert_type(client.set("users"), Set)
assert_type(client.timer("render", 0.1, source="api"), Timer)
assert_type(client.histogram("size", rate=0.5), Histogram)
assert_type(client.distribution("wait", source="api"), Distribution)
client.counter("jobs").inc()
client.counter("jobs").dec(0.5)
client.gauge("depth").set(1)
client.set("users").add(7)
client.timer("render").record(timedelta(seconds=1))


# Blocks.

with client.timer("render") as timer:
    assert_type(timer, Timer)
assert_type(timer.ms, float | None)
with (
    operations.task("mail") as task,
    operations.hook("save") as hook,
    operations.lock("db") as lock,
):
    assert_type(task, Task)
    assert_type(hook, Hook)
    assert_type(lock, Lock)


async def block() -> None:
    async with client.timer("render") as timer:
        assert_type(timer, Timer)
    async with operations.task("mail") as task:
        assert_type(task, Task)


# Decorated functions keep their types: parameters, defaults, keywords and results.

render = metrics.timer("render", description="How long a page takes.")
fetch = metrics.timer("fetch", tags=("source",))


@client.timer("render")
@operations.task("render")
@operations.hook("render")
@operations.lock("render")
@statsd.timer("render")
@render
@fetch.labels(source="api")
def function(one: int, /, two: str = "", *, three: bytes | None = None) -> float:
    return 1.0


@client.timer("render")
@operations.task("render")
@statsd.timer("render")
@render
async def coroutine(one: int) -> str:
    return ""


@client.timer("render")
@operations.task("render")
@statsd.timer("render")
@render
def generator(one: int) -> Generator[int, str, bytes]:
    yield one
    return b""


@client.timer("render")
def iterator() -> Iterator[int]:
    yield 1


@client.timer("render")
@operations.task("render")
@statsd.timer("render")
@render
async def async_generator(one: int) -> AsyncGenerator[int, str]:
    yield one


@client.timer("render")
async def async_iterator() -> AsyncIterator[int]:
    yield 1


@overload
def several(one: int) -> int: ...
@overload
def several(one: str) -> str: ...
@client.timer("render")
def several(one: int | str) -> int | str:
    return one


assert_type(function(1), float)
assert_type(function(1, "2", three=b""), float)
assert_type(generator(1), Generator[int, str, bytes])
assert_type(iterator(), Iterator[int])
assert_type(async_generator(1), AsyncGenerator[int, str])
assert_type(several(1), int)
assert_type(several(""), str)
a_callback: Callable[[int], float] = function
assert_type(client.timer("render")(len)(""), int)


async def awaiting() -> None:
    assert_type(await coroutine(1), str)
    assert_type([one async for one in async_generator(1)], list[int])
    assert_type([one async for one in async_iterator()], list[int])


class Page:
    @client.timer("render")
    def method(self, one: int) -> int:
        return one

    @operations.task("render")
    async def async_method(self) -> bytes:
        return b""

    @staticmethod
    @statsd.timer("render")
    def static(one: int) -> str:
        return ""

    @classmethod
    @render
    def create(cls, one: int) -> Page:
        return cls()

    @property
    @client.timer("render")
    def size(self) -> int:
        return 1


assert_type(Page().method(1), int)
assert_type(Page().method(one=1), int)
assert_type(Page.method(Page(), 1), int)
assert_type(Page.static(1), str)
assert_type(Page.create(1), Page)
assert_type(Page().size, int)


# In place of `statsd`.

statsd.incr("jobs", 2, 0.5, tags={"queue": "mail"})
statsd.gauge("depth", 1, 1, True, tags=["a:1"])
statsd.timing("render", timedelta(seconds=1))
statsd.distribution("wait", 0.5)
statsd.event("deploy", alert_type="error")
assert_type(statsd.dropped, int)
with statsd.pipeline() as pipe:
    pipe.incr("jobs")
TCPStatsClient("localhost", 8125, timeout=1.0).set("users", 7)
UnixSocketStatsClient("/run/statsd.sock", prefix="shop").incr("jobs", tags={"a": 1})


# Declared metrics.

jobs = metrics.counter("jobs", unit="jobs", tags=("queue", "region"), description="Jobs taken.")
hits = metrics.counter("hits")
assert_type(jobs.labels(queue="mail", region=3), Counter)
assert_type(hits.labels(), Counter)
hits.inc()
hits.dec(2)
assert_type(metrics.gauge("depth", tags=["queue"]).labels(queue="mail"), Gauge)
metrics.gauge("level").set(1)
assert_type(metrics.set("users", tags=("a",)).labels(a=1), Set)
metrics.set("members").add("ann")
assert_type(metrics.histogram("size", tags=("a",)).labels(a=1), Histogram)
metrics.histogram("sizes").record(1)
assert_type(metrics.distribution("wait", tags=("a",)).labels(a=1), Distribution)
metrics.distribution("waits").record(0.5)
assert_type(fetch.labels(source="api"), Timer)
with render as measured:
    assert_type(measured, Timer)
assert_type(render.ms, float | None)
assert_type(metrics.client, Client)
assert_type(metrics.faults(), dict[str, int])
assert_type(metrics.markdown(), str)
assert_type(jobs.tags, tuple[str, ...])

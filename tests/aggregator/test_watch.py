from __future__ import annotations

import asyncio
import json
import socket

import pytest

from vitald.aggregator.interval import Row
from vitald.metric import MetricType


class Ticker:
    """How watchers wait: until the test says so; `waits` holds the seconds they asked for."""

    def __init__(self):
        self.waits = []
        self._turn = asyncio.Event()

    async def sleep(self, seconds):
        self.waits.append(seconds)
        await self._turn.wait()

    def tick(self):
        self._turn.set()
        self._turn = asyncio.Event()


class Watcher:
    """A client that reads server-sent events from a chunked answer."""

    def __init__(self, streams):
        self.reader, self.writer = streams

    async def head(self):
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()

    async def event(self):
        """Return the next event's text, across chunks."""
        text = b""
        while not text.endswith(b"\n\n"):
            text += await self.chunk()
        return text.decode()

    async def chunk(self):
        length = int(await asyncio.wait_for(self.reader.readline(), 10), 16)
        data = await asyncio.wait_for(self.reader.readexactly(length + 2), 10)
        return data[:-2]

    async def document(self):
        text = await self.event()
        assert text.startswith("data: ")
        assert text.count("\n") == 2
        return json.loads(text.removeprefix("data: "))


@pytest.fixture
def ticker():
    return Ticker()


async def watch(service, query=""):
    watcher = Watcher(await service.connect())
    watcher.writer.write(f"GET /v1/watch{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return watcher


async def test_a_watcher_gets_a_document_at_once_and_then_at_every_tick(service, ticker, until):
    await service.start(sleep=ticker.sleep)
    await service.world.seal("jobs:1|c")
    watcher = await watch(service, "?name=j*&interval=5")
    head = await watcher.head()
    assert "200 OK" in head
    assert "Content-Type: text/event-stream" in head
    assert (await watcher.document())["metrics"][0]["sum"] == 1
    await until(lambda: ticker.waits == [5.0])
    await service.world.seal("jobs:1|c")
    ticker.tick()
    assert (await watcher.document())["metrics"][0]["sum"] == 2


@pytest.mark.parametrize(
    ("query", "schema"),
    [
        ("?what=health", "vitald.health/1"),
        ("?what=health&name=d*", "vitald.health/1"),
        ("?what=stats", "vitald.stats/1"),
    ],
)
async def test_health_and_stats_can_be_watched(service, ticker, make_report, query, schema):
    service.world.reports = [make_report("db")]
    await service.start(sleep=ticker.sleep)
    watcher = await watch(service, query)
    await watcher.head()
    assert (await watcher.document())["schema"] == schema


async def test_a_long_document_is_one_event_in_many_pieces(service, ticker):
    await service.start(sleep=ticker.sleep)
    await service.world.seal(*(f"series{n}:1|c" for n in range(3000)))
    watcher = await watch(service)
    await watcher.head()
    assert len((await watcher.document())["metrics"]) == 3000


async def test_a_long_interval_is_filled_with_signs_of_life(service, ticker, until):
    await service.start(sleep=ticker.sleep)
    watcher = await watch(service, "?what=health&interval=40s")
    await watcher.head()
    await watcher.document()
    for waits in ([15.0], [15.0, 15.0]):
        await until(lambda waits=waits: ticker.waits == waits)
        ticker.tick()
        assert await watcher.event() == ": alive\n\n"
    await until(lambda: ticker.waits == [15.0, 15.0, 10.0])
    ticker.tick()
    assert (await watcher.document())["schema"] == "vitald.health/1"


async def test_stopping_ends_every_watch_cleanly(service, ticker, until):
    await service.start(sleep=ticker.sleep)
    watchers = [await watch(service, "?what=health") for _ in range(3)]
    for watcher in watchers:
        await watcher.head()
        await watcher.document()
    await until(lambda: len(ticker.waits) == 3)
    await asyncio.wait_for(service.api.stop(), 10)
    for watcher in watchers:
        assert await watcher.reader.read() == b"0\r\n\r\n"


async def test_watchers_beyond_the_limit_are_refused_and_a_place_becomes_free(
    service, ticker, until
):
    await service.start(sleep=ticker.sleep, limits={"watchers": 2})
    watchers = [await watch(service, "?what=health") for _ in range(2)]
    for watcher in watchers:
        await watcher.head()
    answer = await service.ask("/v1/watch?what=health")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json() == {"error": "cannot watch: 2 watchers are connected already"}
    watchers[0].writer.close()
    await until(lambda: service.api._watch.watchers == 1)
    again = await watch(service, "?what=health")
    assert "200 OK" in await again.head()


async def test_a_watcher_that_never_reads_is_cut_off(service, ticker, until):
    async def at_once(seconds):
        await asyncio.sleep(0)

    row = [Row(MetricType.COUNTER, f"series{n}", (), 1.0, 1.0) for n in range(500)]
    service.world.engine.query = lambda *_: type(
        "Answer",
        (),
        {"start": 0.0, "end": 9.0, "seconds": 9.0, "complete": True, "rows": lambda _: iter([row])},
    )()
    await service.start(sleep=at_once, limits={"stall_seconds": 0.1})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.connect(str(service.path))
        deaf.send(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: service.api._watch.watchers == 1)
        (connection,) = service.connections
        transport = connection.transport
        sizes = []

        def is_gone():
            sizes.append(transport.get_write_buffer_size())
            return service.api._watch.watchers == 0

        await until(is_gone)
        await until(lambda: not service.connections)
        assert max(sizes) < 300_000


@pytest.mark.parametrize("query", ["?what=helth", "?interval=1ms", "?window=2h", "?format=csv"])
async def test_a_wrong_watch_is_refused_before_it_begins(service, query):
    await service.start()
    answer = await service.ask(f"/v1/watch{query}")
    assert answer.status == 400
    assert answer.json()["error"].startswith("cannot ")
    assert service.api._watch.watchers == 0


async def test_a_watch_of_a_check_that_there_is_not_is_refused(service):
    await service.start()
    assert (await service.ask("/v1/watch?what=health&name=gone")).status == 404


async def test_a_check_that_goes_away_under_its_watcher_ends_the_watch(
    service, ticker, make_report, until, caplog
):
    service.world.reports = [make_report("db")]
    await service.start(sleep=ticker.sleep)
    watcher = await watch(service, "?what=health&name=db")
    await watcher.head()
    await watcher.document()
    await until(lambda: ticker.waits)
    service.world.reports = []
    ticker.tick()
    event = await watcher.event()
    assert event.startswith("event: error\ndata: ")
    assert "cannot show check db: there is none" in event
    assert await watcher.chunk() == b""
    assert caplog.records == []

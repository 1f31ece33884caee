"""What a real carbon stored, read back from its whisper files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from vitald.aggregator.forwarders.graphite import GraphiteForwarder
from vitald.errors import ForwardError

pytestmark = pytest.mark.server("graphite-carbon")

CONFIGURATION = """
[cache]
STORAGE_DIR = {root}
LOCAL_DATA_DIR = {root}/whisper
CONF_DIR = {root}
LOG_DIR = {root}
PID_DIR = {root}
USER =
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
WHISPER_AUTOFLUSH = True
CARBON_METRIC_INTERVAL = 0
ENABLE_TAGS = False
"""

READ_BACK = """
import json, os, sys
import whisper
from carbon.util import TaggedSeries
root, stamp, paths = json.load(sys.stdin)
found = {}
for path in paths:
    encoded = TaggedSeries.encode(TaggedSeries.parse(path).path, os.sep, hash_only=True)
    file = os.path.join(root, "whisper", encoded + ".wsp")
    if os.path.exists(file):
        _, values = whisper.fetch(file, stamp - 1, stamp)
        found[path] = values[-1]
json.dump(found, sys.stdout)
"""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in socks]


class Carbon:
    """One carbon-cache of our own, with a point a second."""

    def __init__(self, root, python):
        self.root = root
        self.python = python
        self.line, self.pickle, query = free_ports(3)
        (root / "storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 1s:1h\n")
        (root / "carbon.conf").write_text(
            CONFIGURATION.format(root=root, line=self.line, pickle=self.pickle, query=query)
        )
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["/usr/bin/carbon-cache", f"--config={self.root}/carbon.conf", "--nodaemon", "start"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "GRAPHITE_ROOT": str(self.root),
                "GRAPHITE_CONF_DIR": str(self.root),
            },
        )
        self.until(lambda: self.accepts(self.line) and self.accepts(self.pickle))

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def accepts(self, port):
        assert self.process.poll() is None, "carbon-cache ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            assert time.monotonic() < deadline, "carbon did not get there in time"
            time.sleep(0.05)
        return result

    def stored(self, stamp, paths):
        """Return path -> value at `stamp`, once every path has one."""

        def read():
            found = json.loads(
                subprocess.run(
                    [self.python, "-c", READ_BACK],
                    input=json.dumps([str(self.root), stamp, list(paths)]),
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            complete = len(found) == len(paths) and None not in found.values()
            return found if complete else None

        return self.until(read)


@pytest.fixture(scope="module")
def carbon(tmp_path_factory, carbon_python):
    server = Carbon(tmp_path_factory.mktemp("carbon"), carbon_python)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def interval(make):
    end = time.time() - 5
    return make.interval(end=end, start=end - 10, seconds=10.0)


@pytest.mark.parametrize("protocol", ["plaintext", "pickle"])
async def test_carbon_stores_what_was_sent_at_the_intervals_time(carbon, make, interval, protocol):
    port = {"plaintext": carbon.line, "pickle": carbon.pickle}[protocol]
    forwarder = GraphiteForwarder(
        host="web", url=f"tcp://127.0.0.1:{port}", protocol=protocol, prefix=f"stats.{protocol}"
    )
    interval.sampled = [
        make.counter("jobs", 7.0),
        make.gauge("depth", -2.5),
        make.unique("users", 3),
        make.timer("render", [1.0] * 9 + [100.0]),
        make.counter("größe", 1.0),
        make.counter("jobs", 2.0, tags=(("env", "a b"), ("queue", "mail/1"), ("urgent", ""))),
    ]
    await forwarder.send(interval)
    space = f"stats.{protocol}"
    expected = {
        f"{space}.counters.jobs.count": 7.0,
        f"{space}.counters.jobs.rate": 0.7,
        f"{space}.gauges.depth": -2.5,
        f"{space}.sets.users.count": 3.0,
        f"{space}.timers.render.upper": 100.0,
        f"{space}.timers.render.count_90": 9.0,
        f"{space}.timers.render.upper_90": 1.0,
        f"{space}.timers.render.mean": 10.9,
        f"{space}.counters.größe.count": 1.0,
        f"{space}.counters.jobs.count;env=a_b;queue=mail/1;urgent=true": 2.0,
    }
    found = carbon.stored(int(interval.end), expected)
    assert found == pytest.approx(expected)
    assert forwarder.skipped == {}


@pytest.mark.parametrize("protocol", ["plaintext", "pickle"])
async def test_carbon_stores_many_rows_from_several_messages(carbon, make, interval, protocol):
    port = {"plaintext": carbon.line, "pickle": carbon.pickle}[protocol]
    forwarder = GraphiteForwarder(
        host="web",
        url=f"tcp://127.0.0.1:{port}",
        protocol=protocol,
        profile="datadog",
        prefix=f"many.{protocol}",
    )
    interval.sampled = [make.gauge(f"g{i}", float(i)) for i in range(1700)]
    await forwarder.send(interval)
    wanted = {f"many.{protocol}.g{i}": float(i) for i in (0, 499, 500, 999, 1000, 1699)}
    assert carbon.stored(int(interval.end), wanted) == wanted


async def test_sending_an_interval_again_changes_nothing(carbon, make, interval):
    forwarder = GraphiteForwarder(host="web", url=f"tcp://127.0.0.1:{carbon.line}", prefix="again")
    interval.sampled = [make.counter("jobs", 7.0)]
    await forwarder.send(interval)
    await forwarder.send(interval)
    wanted = {"again.counters.jobs.count": 7.0}
    assert carbon.stored(int(interval.end), wanted) == wanted


async def test_a_name_at_carbons_limits_is_stored(carbon, make, interval):
    forwarder = GraphiteForwarder(
        host="web", url=f"tcp://127.0.0.1:{carbon.line}", profile="datadog"
    )
    name = "n" * 251
    interval.sampled = [make.gauge(name, 1.0), make.gauge("m" * 300, 2.0), make.gauge("after", 3.0)]
    await forwarder.send(interval)
    wanted = {name: 1.0, "after": 3.0}
    assert carbon.stored(int(interval.end), wanted) == wanted
    files = [path.name for path in (carbon.root / "whisper").glob("m*.wsp")]
    assert [len(file) for file in files] == [255]


async def test_a_stopped_carbon_is_not_taken_for_a_delivery(
    tmp_path, carbon_python, make, interval
):
    server = Carbon(tmp_path, carbon_python)
    try:
        server.start()
        forwarder = GraphiteForwarder(
            host="web", url=f"tcp://127.0.0.1:{server.line}", profile="datadog"
        )
        interval.sampled = [make.gauge("x", 1.0)]
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(ForwardError, match="in time"):
            await bounded(forwarder.send(interval), 1.0)
        server.process.send_signal(signal.SIGCONT)
        await forwarder.send(interval)
        assert server.stored(int(interval.end), {"x": 1.0}) == {"x": 1.0}
    finally:
        server.stop()


async def bounded(sending, seconds):
    """Send as the dispatcher does: with a time-out that is a failure."""
    try:
        await asyncio.wait_for(sending, seconds)
    except asyncio.TimeoutError:
        raise ForwardError("not in time") from None

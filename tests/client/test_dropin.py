"""The subclasses of `statsd`'s clients: the same bytes, and what tags add to them."""

from __future__ import annotations

import _thread
import datetime as dt
import enum
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
import statsd

from vitald.client import StatsClient, TCPStatsClient, UnixSocketStatsClient, dropin, texts


class Colour(str, enum.Enum):
    RED = "red"


@pytest.fixture
def make_pair(udp):
    """Make `statsd`'s own client and ours, to the same receiver."""
    made = []

    def make(**options):
        host, port = udp.sock.getsockname()
        made.extend([statsd.StatsClient(host, port, **options), StatsClient(host, port, **options)])
        return made[-2:]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_pair):
    return make_pair()[1]


def test_each_class_is_a_subclass_of_its_namesake():
    assert issubclass(StatsClient, statsd.StatsClient)
    assert issubclass(TCPStatsClient, statsd.TCPStatsClient)
    assert issubclass(UnixSocketStatsClient, statsd.UnixSocketStatsClient)


def use_everything(client):
    client.incr("jobs")
    client.incr("jobs", 5)
    client.decr("jobs", 2.5)
    client.gauge("depth", 7)
    client.gauge("depth", -7)
    client.gauge("depth", -7, delta=True)
    client.gauge("depth", 7, delta=True)
    client.set("users", "ann")
    client.timing("render", 1.5)
    client.timing("render", dt.timedelta(seconds=2))
    with client.pipeline() as pipe:
        for number in range(100):
            pipe.incr(f"counter.number.{number}")
        pipe.gauge("depth", -3)
        pipe.timing("render", 3)


@pytest.mark.parametrize("options", [{}, {"prefix": "shop"}, {"maxudpsize": 100}])
def test_calls_without_tags_send_the_same_packets_as_statsd(make_pair, udp, options):
    theirs, ours = make_pair(**options)
    use_everything(theirs)
    udp.lines()
    expected, udp.datagrams[:] = list(udp.datagrams), []
    use_everything(ours)
    udp.lines()
    assert udp.datagrams == expected


def test_every_verb_takes_tags(client, udp):
    tags = {"queue": "mail", "a": "1"}
    client.incr("jobs", tags=tags)
    client.decr("jobs", tags=tags)
    client.gauge("depth", -7, tags=tags)
    client.gauge("depth", 7, delta=True, tags=["a:1"])
    client.set("users", "ann", tags=tags)
    client.timing("render", 1.5, tags=tags)
    client.histogram("size", 3, tags=tags)
    client.distribution("wait", 0.5, tags=tags)
    client.event("deploy", "v2", tags=tags, alert_type="error")
    client.service_check("db", 1, tags=tags, message="slow")
    assert udp.lines() == [
        "jobs:1|c|#a:1,queue:mail",
        "jobs:-1|c|#a:1,queue:mail",
        "depth:0|g|#a:1,queue:mail",
        "depth:-7|g|#a:1,queue:mail",
        "depth:+7|g|#a:1",
        "users:ann|s|#a:1,queue:mail",
        "render:1.500000|ms|#a:1,queue:mail",
        "size:3|h|#a:1,queue:mail",
        "wait:0.5|d|#a:1,queue:mail",
        "_e{6,2}:deploy|v2|t:error|#a:1,queue:mail",
        "_sc|db|1|#a:1,queue:mail|m:slow",
    ]


def test_a_pipeline_takes_tags_and_the_new_types(client, udp):
    with client.pipeline() as pipe:
        pipe.incr("jobs", tags=["a:1"])
        pipe.distribution("wait", 2)
        pipe.event("deploy")
        with pipe.pipeline() as inner:
            inner.gauge("depth", -1, tags=["b:2"])
    udp.lines()
    assert udp.datagrams == [
        b"jobs:1|c|#a:1\nwait:2|d\n_e{6,0}:deploy|\ndepth:0|g|#b:2\ndepth:-1|g|#b:2"
    ]


def test_a_sampled_call_puts_its_rate_before_its_tags(client, udp, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)
    client.incr("jobs", rate=0.5, tags=["a:1"])
    assert udp.lines() == ["jobs:1|c|@0.5|#a:1"]


async def test_timers_measure_blocks_functions_coroutines_and_generators(client, udp):
    with client.timer("block", tags=["a:1"]) as timer:
        pass
    assert timer.ms >= 0
    with pytest.raises(RuntimeError, match="Already sent"):
        timer.send()

    @client.timer("function", tags=["a:1"])
    def function():
        return 1

    @client.timer("coroutine")
    async def coroutine():
        return 2

    @client.timer("generator")
    def generator():
        yield 3
        assert not [line for line in udp.lines() if line.startswith("generator")]

    assert function() == 1
    assert await coroutine() == 2
    assert list(generator()) == [3]
    names = [line.partition(":")[0] for line in udp.lines()]
    assert names == ["block", "function", "coroutine", "generator"]
    assert [line.endswith("|ms|#a:1") for line in udp.lines()] == [True, True, False, False]


def test_a_name_that_is_not_ascii_is_sent_and_one_with_a_newline_makes_one_line(client, udp):
    client.incr("naïve.世界")
    client.incr("a:1|c\nb")
    client.set("users", "x\ny:1|c")
    assert udp.lines() == ["naïve.世界:1|c", "a_1_c_b:1|c", "users:x_y:1_c|s"]


NOT_ONCE = [
    ({"a": 1}, "#a:1"),
    ({"a": True}, "#a:True"),
    ({"a": 1.0}, "#a:1.0"),
    ({"a": "1"}, "#a:1"),
    ({"a": 0.0}, "#a:0.0"),
    ({"a": -0.0}, "#a:-0.0"),
    ({"a": None, "b": ""}, "#a:None,b"),
    ({"b": "2", "a": "1"}, "#a:1,b:2"),
    ({"x": "y"}, "#x:y"),
    (["x", "y"], "#x,y"),
    (("x:y",), "#x:y"),
    ("x:y,z", "#x:y,z"),
    ({Colour.RED: "1"}, "#Colour.RED:1"),
    ({"red": "1"}, "#red:1"),
    ({"a": Colour.RED}, "#a:Colour.RED"),
    ({"a": "red"}, "#a:red"),
    ({"a": ["unhashable"]}, "#a:['unhashable']"),
    ({"a|b": "c,d\n"}, "#a_b:c_d_"),
    ({}, ""),
    ([], ""),
]


def test_tags_that_are_remembered_are_not_taken_for_equal_ones(client, udp):
    for _ in range(2):
        for tags, _field in NOT_ONCE:
            client.incr("jobs", tags=tags)
    fields = [line.removeprefix("jobs:1|c").removeprefix("|") for line in udp.lines()]
    assert fields == [field for _, field in NOT_ONCE] * 2


def test_a_name_that_is_remembered_is_not_taken_for_an_equal_one(client, udp):
    for name in ("red", Colour.RED, "red", b"red", Colour.RED):
        client.incr(name)
    names = [line.partition(":")[0] for line in udp.lines()]
    assert names == ["red", "Colour.RED", "red", "red", "Colour.RED"]


def test_what_is_remembered_is_bounded(client, monkeypatch):
    monkeypatch.setattr(texts, "_LIMIT", 10)
    texts.names.clear()
    texts._fields.clear()
    for number in range(100):
        client.incr(f"jobs.{number}", tags={"n": number})
    client.incr("a" * 1000, tags={"a": "b" * 1000})
    assert len(texts.names) <= 10
    assert len(texts._fields) <= 10
    assert max(map(len, [*texts.names, *texts._fields.values()])) < 20


class Hostile:
    def __str__(self):
        raise RuntimeError("no text")

    __neg__ = __lt__ = __str__


WRONG = [
    lambda client: client.timing("render", "long"),
    lambda client: client.timing("render", Hostile()),
    lambda client: client.incr("jobs", Hostile()),
    lambda client: client.decr("jobs", "one"),
    lambda client: client.decr("jobs", Hostile()),
    lambda client: client.gauge("depth", "high"),
    lambda client: client.gauge("depth", Hostile()),
    lambda client: client.set("users", Hostile()),
    lambda client: client.histogram("size", Hostile()),
    lambda client: client.incr("jobs", rate="half"),
    lambda client: client.incr(Hostile()),
    lambda client: client.incr("jobs", tags=[1]),
    lambda client: client.incr("jobs", tags=7),
    lambda client: client.incr("jobs", tags={"a": Hostile()}),
    lambda client: client.event(Hostile()),
    lambda client: client.event("deploy", tags=7),
]


@pytest.mark.parametrize("call", WRONG)
@pytest.mark.parametrize("through", ["client", "pipeline", "nested"])
def test_a_wrong_argument_is_counted_once_and_raises_nothing(client, udp, call, through):
    if through == "client":
        call(client)
    elif through == "pipeline":
        with client.pipeline() as pipe:
            call(pipe)
    else:
        with client.pipeline() as pipe, pipe.pipeline() as inner:
            call(inner)
    assert client.dropped == 1
    assert not udp.lines()


def test_the_numbers_that_statsd_sends_are_sent(client, udp):
    client.incr("jobs", 10**30)
    client.incr("jobs", True)
    client.histogram("size", 0.1)
    client.set("users", 7)
    client.set("users", "a|b")
    assert [line.partition(":")[2] for line in udp.lines()] == [
        f"{10**30}|c", "True|c", "0.1|h", "7|s", "a_b|s",
    ]  # fmt: skip


def test_a_bool_in_the_place_of_the_size_is_the_ipv6_that_airflow_passes_there():
    client = StatsClient("localhost", 8125, "airflow", True)
    assert (client._addr[0], client._maxudpsize) == ("::1", 512)
    client.close()
    client = StatsClient("localhost", 8125, "airflow", False)
    assert (client._addr[0], client._maxudpsize) == ("127.0.0.1", 512)
    client.close()


def test_calls_after_close_are_counted_and_raise_nothing(client):
    client.close()
    client.incr("jobs")
    client.event("")
    assert client.dropped == 2


def test_a_host_name_is_looked_up_by_another_thread_and_packets_wait(udp, monkeypatch):
    real, threads, answer = socket.getaddrinfo, [], threading.Event()

    def look_up(host, *arguments, flags=0):
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        threads.append(threading.get_ident())
        assert answer.wait(20)
        return real("127.0.0.1", *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    client = StatsClient("metrics.example", udp.sock.getsockname()[1])
    for number in range(1002):
        client.incr("jobs", number)
    answer.set()
    while client._addr is None or client._waiting:
        time.sleep(0.001)
    client.incr("end")
    client.close()
    assert udp.lines()[0] == "jobs:2|c"
    assert len(udp.lines()) == 1001
    assert client.dropped == 2
    assert threads
    assert threading.get_ident() not in threads


def test_packets_that_wait_for_a_name_are_their_own_process_s_to_send(udp, monkeypatch):
    """As in a forked child, which has a copy of what its parent sends."""
    real, answer = socket.getaddrinfo, threading.Event()

    def look_up(host, *arguments, flags=0):
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        assert answer.wait(20)
        return real("127.0.0.1", *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    client = StatsClient("metrics.example", udp.sock.getsockname()[1])
    client.incr("parent")
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    client.incr("child")
    answer.set()
    while client._addr is None or client._waiting:
        time.sleep(0.001)
    client.close()
    assert set(udp.lines()) == {"child:1|c"}
    assert client.dropped == 0


def test_a_host_that_does_not_resolve_raises_nothing_and_close_ends_the_search(monkeypatch):
    slept, closed = threading.Event(), threading.Event()

    def refuse(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    class Time:
        perf_counter_ns = time.perf_counter_ns

        @staticmethod
        def sleep(_):
            slept.set()
            closed.wait(20)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(dropin, "time", Time)
    before = _thread._count()
    client = StatsClient("metrics.invalid")
    client.incr("jobs")
    assert slept.wait(20)
    client.close()
    client.incr("jobs")
    closed.set()
    deadline = time.monotonic() + 20
    while _thread._count() > before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert _thread._count() == before
    assert client.dropped == 2


def test_stream_clients_send_lines_with_tags(stream, read_all):
    if stream.url.startswith("tcp:"):
        client = TCPStatsClient("127.0.0.1", stream.listener.getsockname()[1])
    else:
        client = UnixSocketStatsClient(stream.listener.getsockname())
    client.incr("jobs", tags=["a:1"])
    client.gauge("depth", -1)
    client.incr("naïve")
    with client.pipeline() as pipe:
        pipe.incr("one")
        pipe.distribution("two", 2)
    client.close()
    lines = read_all(stream.accept())
    assert lines == [
        "jobs:1|c|#a:1",
        "depth:0|g",
        "depth:-1|g",
        "naïve:1|c",
        "one:1|c",
        "two:2|d",
    ]


def test_a_stream_client_that_could_not_connect_connects_at_the_next_call(tmp_path, read_all):
    path = str(tmp_path / "statsd.sock")
    client = UnixSocketStatsClient(path)
    with pytest.raises(OSError, match="No such file"):
        client.incr("jobs")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        client.incr("jobs")
        client.close()
        assert read_all(listener.accept()[0]) == ["jobs:1|c"]


AIRFLOW = """
import statsd
from vitald.client import StatsClient
assert issubclass(StatsClient, statsd.StatsClient)
client = StatsClient(host="127.0.0.1", port={port}, prefix="airflow", ipv6=False)
client.incr("ti.start", 1, 1)
client.timing("dagrun.duration", 12.5)
client.close()
"""


def test_it_is_built_and_called_the_way_airflow_does_it(udp):
    script = AIRFLOW.format(port=udp.sock.getsockname()[1])
    subprocess.run([sys.executable, "-c", script], check=True, env=dict(os.environ))
    assert udp.lines() == ["airflow.ti.start:1|c", "airflow.dagrun.duration:12.500000|ms"]

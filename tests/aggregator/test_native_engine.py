"""What crosses between Python and the native engine; its answers are tested with every engine."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading

import pytest
from engines import NO_NATIVE, START, at, rows_of

from vitald.aggregator.interval import Row
from vitald.aggregator.selector import Selector
from vitald.metric import Event, MetricType, ServiceCheck
from vitald.sketch import Sketch
from vitald.wire.dialect import DEFAULT_DIALECT

pytestmark = pytest.mark.skipif(bool(NO_NATIVE), reason=NO_NATIVE)


@pytest.fixture
def engine():
    from vitald.aggregator.native_engine import NativeEngine

    return NativeEngine(at(0))


def test_rows_are_those_of_the_interface_with_the_vocabularys_types(engine):
    engine.ingest("größe:2|g|#b:1,a,c:ü".encode())
    engine.rotate(at(10))
    ((row,),) = [batch for batch in engine.query(Selector(), 10).rows() if batch]
    assert row == Row(MetricType.GAUGE, "größe", (("a", ""), ("b", "1"), ("c", "ü")), 1, 2, 2, 2, 2)
    assert type(row.tags) is tuple
    assert row.type is MetricType.GAUGE


def test_a_histogram_reads_like_the_python_one(engine):
    values = [0.0, 1.0, 1.0, 2.5, 1e-9, 1e12, -3.0, -3.0, -1e6]
    engine.ingest(b"t:%s|ms" % b":".join(b"%r" % value for value in values))
    engine.rotate(at(10))
    (row,) = rows_of(engine.query(Selector(), 10)).values()
    expected = Sketch()
    expected.insert(values)
    for name in ("count", "sum", "min", "max", "zero_count", "scale", "relative_error"):
        assert getattr(row.histogram, name) == getattr(expected, name), name
    assert row.histogram.positive == expected.positive
    assert row.histogram.negative == expected.negative
    assert list(row.histogram.cells()) == list(expected.cells())
    fractions = (0.0, 0.1, 0.5, 0.99, 1.0)
    assert row.histogram.quantiles(fractions) == expected.quantiles(fractions)
    assert row.histogram.quantiles([]) == []
    assert row.histogram.quantile(0.5) == expected.quantile(0.5)


def test_batches_are_bounded_and_hold_every_row_once(engine):
    engine.ingest(b"\n".join(b"name%d:1|c" % number for number in range(5000)))
    interval = engine.rotate(at(10))
    for rows in (interval.rows(), interval.rows(idle=True), engine.query(Selector(), 10).rows()):
        batches = list(rows)
        assert max(map(len, batches)) <= 1000
        assert len({row.name for batch in batches for row in batch}) == 5000
        assert sum(map(len, batches)) == 5000
        assert next(rows, None) is None


def test_an_interval_is_read_as_often_as_wanted_and_from_any_thread(engine):
    engine.ingest(b"a:1|c\nb:2|ms")
    interval = engine.rotate(at(10))
    engine.ingest(b"a:100|c")
    engine.rotate(at(20))
    found = [rows_of(interval)]
    thread = threading.Thread(target=lambda: found.append(rows_of(interval)))
    thread.start()
    thread.join(20)
    assert len(found) == 2
    for rows in found:
        assert {name: row.sum for (_, name, _), row in rows.items()} == {"a": 1, "b": 2}


def test_what_an_interval_carries_stays_the_same_object(engine):
    engine.ingest(
        b"_e{1,4}:t|text|d:5|h:web|k:key|p:low|s:src|t:error|#a:1,b\n_sc|c|2|d:7|h:w|m:why"
    )
    engine.ingest(b"a:1|c")
    engine.rotate(at(10))
    engine.ingest(b"a:5|c|T%d\n_e{1,1}:t|x" % (START + 5))
    interval = engine.rotate(at(20))
    # A forwarder tells by identity whether it has begun to send a correction.
    for name in ("corrections", "events", "service_checks", "late"):
        assert getattr(interval, name) is getattr(interval, name)
    (correction,) = interval.corrections
    assert (correction.start, correction.end, correction.seconds) == (START, START + 10, 10)
    assert interval.events == [Event("t", "x")]


def test_events_and_service_checks_keep_every_field(engine):
    engine.ingest(
        b"_e{1,4}:t|text|d:5|h:web|k:key|p:low|s:src|t:error|#a:1,b\n_sc|c|2|d:7|h:w|m:why"
    )
    interval = engine.rotate(at(10))
    tags = (("a", "1"), ("b", ""))
    assert interval.events == [Event("t", "text", 5, "web", "key", "low", "src", "error", tags)]
    assert interval.service_checks == [ServiceCheck("c", 2, 7, "w", "why")]


def test_late_samples_are_a_sequence(engine):
    engine.rotate(at(10))
    engine.ingest(b"\n".join(b"%c:%d|c|T%d" % (97 + n, n + 1, START + 5) for n in range(3)))
    late = engine.rotate(at(20)).late
    names = sorted(row.name for row in late)
    assert (len(late), names) == (3, ["a", "b", "c"])
    rows = list(late)
    assert [late[at] for at in (0, 1, 2, -1, -3)] == [*rows, rows[2], rows[0]]
    assert (late[1:], late[::-2], late[5:], late[:-9]) == (rows[1:], rows[::-2], [], [])
    for wrong in (3, -4):
        with pytest.raises(IndexError):
            late[wrong]
    with pytest.raises(TypeError):
        late["a"]


def test_a_socket_may_be_closed_by_its_owner_while_it_is_read(engine):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        address, descriptor = sock.getsockname(), sock.fileno()
        engine.attach(sock, "udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"a:1|c", address)
    engine._engine.detach(descriptor)
    assert engine.ledger().aggregated == 1


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOTSOCK])
def test_what_is_no_socket_is_refused_with_the_systems_error(engine, number, tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    if number == errno.EBADF:
        os.close(descriptor)
    try:
        with pytest.raises(OSError, match="os error") as caught:
            engine._engine.attach(descriptor, "udp", DEFAULT_DIALECT)
        assert caught.value.errno == number
    finally:
        if number == errno.ENOTSOCK:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gauge_sign": "both"}, "cannot read dialect: unknown sign of gauges"),
        ({"tag_formats": {"graphite", "x"}}, "cannot read dialect: unknown tag format"),
    ],
)
def test_a_dialect_that_the_engine_does_not_know_is_refused(engine, changed, message):
    with pytest.raises(ValueError, match=message):
        engine.ingest(b"a:1|c", dialect=DEFAULT_DIALECT._replace(**changed))


FORKED = """
import os
import socket

from vitald.aggregator.native_engine import NativeEngine
from vitald.clock import Instant

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    engine = NativeEngine(Instant(0.0, 0.0))
    engine.attach(sock, "udp")
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        engine.detach(sock)
"""


def test_a_child_that_was_forked_beside_readers_ends_as_it_would_without():
    ended = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("0\n", "")

"""What the tests of every engine share: time, questions, and the slow and plain oracle."""

from __future__ import annotations

import os
import socket
from collections import defaultdict

import pytest
from hypothesis import strategies as st

from vitald.aggregator.engines import why_not_native
from vitald.aggregator.python_engine import PythonEngine
from vitald.aggregator.selector import Selector
from vitald.aggregator.sockets import bind
from vitald.clock import Instant
from vitald.metric import MetricType
from vitald.wire.parse import Rejected, parse_line

START = 1_700_000_000.0  # a multiple of 10 s, not of 1 m
ENGINES = {"python": PythonEngine}
NO_NATIVE = why_not_native()
if NO_NATIVE:
    if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
        ENGINES["native"] = lambda *_, **__: pytest.fail(NO_NATIVE)
else:
    from vitald.aggregator.native_engine import NativeEngine

    ENGINES["native"] = NativeEngine
BOUND = 0.0055

LINES = st.sampled_from(
    [
        b"a:1|c", b"a:2.5|c|@0.1", b"a:1:2:3|c", b"a:x|c", b"a:|c", b"a|c", b"a", b":1|c", b"",
        b"\r", b"a:1|c\r", b"g:5|g", b"g:-5|g", b"g:+2|g", b"g:1:x|g", b"t:12.5|ms", b"t:1:2|ms",
        b"t:0|ms", b"t:-3|ms", b"t:1e400|ms", b"t:1|ms|@0.3", b"s:x|s", b"s:|s", b"s:\xff|s",
        b"s:y:z|s", b"a:1|c|#x:1", b"a:1|c|#x:1,y:2", b"a:1|c|#y:2,x:1", b"a:1|c|zz", b"a:1|zz",
        b"a:1|c:2|g", b"_e{1,1}:a|b", b"_sc|a|0", b"_sc|a|9", b"a:1|c|@2", b"g:7|g|#x:1|c:ci",
        b"g:+1|g|#x:1", b"a:1|c|c:ci-1", b"h:1|h", b"d:1|d", b"a:1|m",
    ]
)  # fmt: skip


def at(seconds, jump=0.0):
    return Instant(START + seconds + jump, 500.0 + seconds)


def rows_of(source):
    """All rows by series; a series that stands twice in one answer is an error."""
    rows = [row for batch in source.rows() for row in batch]
    found = {(row.type.value, row.name, row.tags): row for row in rows}
    assert len(found) == len(rows)
    return found


def ask(engine, window=60, **selector):
    return rows_of(engine.query(Selector(**selector), window))


def assert_balanced(ledger):
    assert ledger.lines == (
        ledger.aggregated + sum(ledger.rejected.values()) + sum(ledger.shed.values())
    )


class Socket:
    """A bound socket, and one that sends to it."""

    def __init__(self, address, **options):
        self.bound = bind(address, **options)
        self.sender = socket.socket(self.bound.family, socket.SOCK_DGRAM)
        self.sender.connect(self.bound.getsockname())

    def send(self, *datagrams):
        for datagram in datagrams:
            self.sender.send(datagram)

    def close(self):
        self.bound.close()
        self.sender.close()


class Oracle:
    """All raw samples, aggregated the slow and plain way."""

    def __init__(self):
        self.lines = 0
        self.rejected = defaultdict(int)
        self.counters = defaultdict(float)
        self.gauges = {}
        self.members = defaultdict(set)
        self.samples = defaultdict(list)

    def take(self, datagram):
        for line in datagram.split(b"\n"):
            if line in {b"", b"\r"}:
                continue
            self.lines += 1
            parsed = parse_line(line)
            if isinstance(parsed, Rejected):
                self.rejected[parsed.reason] += 1
                continue
            for sample in parsed.samples:
                self.add(sample)

    def add(self, sample):
        if sample.key.type is MetricType.COUNTER:
            self.counters[sample.key] += sum(sample.values) / sample.rate
        elif sample.key.type is MetricType.SET:
            self.members[sample.key] |= set(sample.values)
        elif sample.key.type is MetricType.GAUGE:
            for value, is_delta in zip(sample.values, sample.signed, strict=True):
                base = self.gauges.get(sample.key, 0.0) if is_delta else 0.0
                self.gauges[sample.key] = base + value
        else:
            self.samples[sample.key] += [(value, 1 / sample.rate) for value in sample.values]

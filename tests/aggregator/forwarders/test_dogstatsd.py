from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vitald.aggregator.forwarders.dogstatsd import (
    DogStatsdForwarder,
    encode_extended,
    encode_row,
    pack,
    rate_of,
    weighted_values,
)
from vitald.aggregator.python_engine import PythonEngine
from vitald.aggregator.selector import Selector
from vitald.config.options import ForwarderOptions, arguments
from vitald.errors import ForwardError
from vitald.metric import Event, MetricType, ServiceCheck
from vitald.sketch import Sketch
from vitald.wire.dialect import Dialect
from vitald.wire.parse import Line, parse_line

STAMP = 1_700_000_010


def parsed(line):
    result = parse_line(line.encode())
    assert isinstance(result, Line), line
    return result


def test_counters_gauges_and_sets_carry_the_intervals_time(make):
    tags = (("bare", ""), ("queue", "mail"))
    assert encode_row(make.counter("jobs", 7.0, tags), STAMP, 1432) == [
        "jobs:7|c|#bare,queue:mail|T1700000010"
    ]
    assert encode_row(make.gauge("depth", 2.5), STAMP, 1432) == ["depth:2.5|g|T1700000010"]
    assert encode_row(make.unique("users", 3), STAMP, 1432) == ["users:3|g|T1700000010"]
    assert encode_row(make.counter("jobs"), None, 1432) == ["jobs:5|c"]


def test_a_negative_gauge_is_absolute_as_dogstatsd_reads_it(make):
    assert encode_row(make.gauge("depth", -5.0), None, 1432) == ["depth:-5|g"]


@pytest.mark.parametrize(
    ("kind", "word"),
    [(MetricType.TIMER, "ms"), (MetricType.HISTOGRAM, "h"), (MetricType.DISTRIBUTION, "d")],
)
def test_samples_keep_their_type_and_carry_no_time(make, kind, word):
    row = make.timer("render", [1.0, 2.0], (("a", "1"),), kind=kind)
    assert encode_row(row, STAMP, 1432) == [f"render:1:2|{word}|#a:1"]


def test_one_sampled_value_keeps_its_weight(make):
    assert encode_row(make.timer("x", [5.0], rate=0.1), STAMP, 1432) == ["x:5|ms|@0.1"]


def test_many_equal_values_cost_one_line(make):
    assert encode_row(make.timer("x", [5.0] * 1000), STAMP, 1432) == ["x:5|ms|@0.001"]


def test_the_outermost_samples_are_relayed_as_they_were(make):
    row = make.timer("x", [1.001, 1.002, 1.003, 8.0, 9.001, 9.002])
    values = sorted(
        v for line in encode_row(row, STAMP, 1432) for v in parsed(line).samples[0].values
    )
    assert (values[0], values[-1]) == (1.001, 9.002)


values = st.lists(
    st.one_of(st.floats(1e-6, 1e9), st.floats(-1e9, -1e-6), st.just(0.0)), min_size=1, max_size=300
)


@given(values, st.sampled_from([1.0, 0.5, 0.1, 0.01, 1 / 3]), st.integers(120, 8192))
def test_what_a_receiver_makes_of_relayed_samples_is_within_the_bound(values, rate, largest):
    original = Sketch()
    original.insert(values, 1 / rate)
    from vitald.aggregator.interval import Row

    row = Row(MetricType.DISTRIBUTION, "x", (), original.count, original.sum, histogram=original)
    received = Sketch()
    for line in encode_row(row, STAMP, largest):
        assert len(line) <= largest
        for sample in parsed(line).samples:
            received.insert(sample.values, 1 / sample.rate)
    assert received.count == pytest.approx(original.count, rel=1e-9)
    magnitude = math.fsum(abs(v) for v in values) / rate
    assert abs(received.sum - original.sum) <= 0.0055 * magnitude + 1e-9
    assert received.min == pytest.approx(original.min, rel=1e-9)
    assert received.max == pytest.approx(original.max, rel=1e-9)
    bound = 2.1 * original.relative_error
    for fraction in (0.0, 0.25, 0.5, 0.95, 1.0):
        expected = original.quantile(fraction)
        assert abs(received.quantile(fraction) - expected) <= bound * abs(expected) + 1e-9


@given(st.integers(1, 1_000_000))
def test_the_integer_part_of_one_over_the_rate_is_the_weight(weight):
    rate = float(repr(rate_of(float(weight))))
    assert int(1 / rate) == weight
    assert 1 / rate == pytest.approx(weight, rel=1e-12)


@given(st.floats(1.0, 1e7))
def test_no_weight_needs_a_rate_below_what_receivers_clamp(weight):
    sketch = Sketch()
    sketch.insert([1.0, 2.0, 3.0], weight)
    cells = list(weighted_values(sketch))
    assert sum(weight for _, weight in cells) == pytest.approx(sketch.count)
    assert all(1 - 1e-9 <= weight <= 1e6 for _, weight in cells)


def test_events_and_checks_without_a_time_get_the_intervals():
    event = Event("deploy", "v2", tags=(("a", "1"),), alert_type="error")
    (line,) = encode_extended(event, STAMP)
    assert parsed(line).extended == event._replace(timestamp=STAMP)
    check = ServiceCheck("db", 2, timestamp=5, message="down")
    (line,) = encode_extended(check, STAMP)
    assert parsed(line).extended == check


@given(st.lists(st.integers(1, 60), max_size=60), st.integers(20, 200))
def test_datagrams_hold_whole_lines_and_are_within_the_limit(lengths, largest):
    lines = ["x" * length for length in lengths]
    skipped = Counter()
    datagrams = list(pack(lines, largest, skipped))
    assert all(len(datagram) <= largest for datagram in datagrams)
    found = [line.decode() for datagram in datagrams for line in datagram.split(b"\n")]
    assert found == [line for line in lines if len(line) <= largest]
    assert skipped["too_long"] == len(lines) - len(found)


class Agent:
    """A socket that receives as an agent's does."""

    def __init__(self, sock):
        self.sock = sock
        sock.setblocking(False)

    def datagrams(self):
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.sock.recv(65536))
        return found

    def lines(self):
        return [line.decode() for data in self.datagrams() for line in data.split(b"\n")]


@pytest.fixture
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        agent = Agent(sock)
        agent.url = f"udp://127.0.0.1:{sock.getsockname()[1]}"
        yield agent


@pytest.fixture
def unixgram(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "dsd.sock"))
        agent = Agent(sock)
        agent.url = f"unixgram://{tmp_path}/dsd.sock"
        yield agent


async def test_an_interval_arrives_over_udp_in_small_datagrams(udp, make, time):
    interval = make.interval([make.counter(f"c{i}") for i in range(200)])
    await DogStatsdForwarder(host="web", url=udp.url, clock=time).send(interval)
    datagrams = udp.datagrams()
    assert all(len(datagram) <= 1432 for datagram in datagrams)
    assert sum(datagram.count(b"|c") for datagram in datagrams) == 200


async def test_metrics_events_and_checks_arrive_over_a_unix_socket(unixgram, make, time):
    interval = make.interval(
        [make.counter("jobs")],
        events=[Event("deploy", "v2")],
        service_checks=[ServiceCheck("db", 0)],
    )
    await DogStatsdForwarder(host="web", url=unixgram.url, clock=time).send(interval)
    assert [line.split(":")[0] for line in unixgram.lines()] == ["jobs", "_e{6,2}", "_sc|db|0|d"]


async def test_a_full_receiver_is_waited_for_and_a_retry_repeats_nothing(unixgram, make, time):
    rows = [make.counter(f"c{i}", tags=(("t", "x" * 200),)) for i in range(2000)]
    interval = make.interval(rows)
    forwarder = DogStatsdForwarder(host="web", url=unixgram.url, clock=time)
    found = []
    for _ in range(200):
        sending = asyncio.ensure_future(forwarder.send(interval))
        done, _ = await asyncio.wait({sending}, timeout=0.05)
        if done:
            await sending
            break
        sending.cancel()
        await asyncio.wait({sending})
        found += unixgram.lines()
    found += unixgram.lines()
    assert [line.split(":")[0] for line in found] == [row.name for row in rows]


async def test_the_first_datagram_that_is_refused_is_sent_again(make, time):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    forwarder = DogStatsdForwarder(host="web", url=f"udp://127.0.0.1:{port}", clock=time)
    interval = make.interval([make.counter(f"c{i}") for i in range(300)])
    with pytest.raises(ForwardError, match="connection refused"):
        await forwarder.send(interval)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        agent = Agent(sock)
        await forwarder.send(interval)
        assert len(agent.lines()) == 300


async def test_what_cannot_carry_its_time_is_not_sent_late(udp, make, time):
    time.wall += 61
    interval = make.interval([make.counter("jobs"), make.gauge("depth"), make.timer("render")])
    forwarder = DogStatsdForwarder(host="web", url=udp.url, clock=time)
    await forwarder.send(interval)
    assert [line.split(":")[0] for line in udp.lines()] == ["jobs", "depth"]
    assert forwarder.skipped == {"late": 1}
    forwarder = DogStatsdForwarder(host="web", url=udp.url, timestamps=False, clock=time)
    await forwarder.send(interval)
    assert udp.lines() == []
    assert forwarder.skipped == {"late": 3}


async def test_without_timestamps_late_samples_are_added_instead_of_corrected(udp, make, time):
    interval = make.interval([make.counter("jobs", 5.0)], late=[make.counter("jobs", 2.0)])
    with_time = DogStatsdForwarder(host="web", url=udp.url, clock=time)
    await with_time.send(interval)
    assert udp.lines() == ["jobs:5|c|T1700000010"]
    without = DogStatsdForwarder(host="web", url=udp.url, timestamps=False, clock=time)
    await without.send(interval)
    assert udp.lines() == ["jobs:5|c", "jobs:2|c"]
    assert (with_time.takes_corrections, without.takes_corrections) == (True, False)


async def test_a_name_over_ipv4_and_ipv6_is_reached_over_ipv4(udp, make, time):
    port = udp.sock.getsockname()[1]
    forwarder = DogStatsdForwarder(host="web", url=f"udp://localhost:{port}", clock=time)
    await forwarder.send(make.interval([make.counter("jobs")]))
    assert len(udp.lines()) == 1


async def test_what_has_no_form_is_counted_and_keeps_nothing_else_back(udp, make, time):
    rows = [make.counter("bad", math.inf), make.gauge("worse", math.nan), make.counter("good")]
    events = [Event("", "no title"), Event("deploy", "v2")]
    forwarder = DogStatsdForwarder(host="web", url=udp.url, clock=time)
    await forwarder.send(make.interval(rows, events=events))
    assert [line.split(":")[0] for line in udp.lines()] == ["good", "_e{6,2}"]
    assert forwarder.skipped == {"no_form": 3}


async def test_a_second_sidecar_that_is_relayed_to_has_the_same_numbers(unixgram, time):
    """From wire to wire: what the first engine aggregated, the second one shows."""
    first, second = PythonEngine(time.now()), PythonEngine(time.now())
    first.ingest(
        b"jobs:3|c|@0.1|#queue:mail\njobs:4|c|#queue:mail\ndepth:2|g\nusers:a|s\nusers:b|s"
    )
    samples = [1.01**i for i in range(600)]
    first.ingest("\n".join(f"render:{sample!r}|ms|@0.5" for sample in samples).encode())
    await time.advance(10)
    interval = first.rotate(time.now())
    await DogStatsdForwarder(host="web", url=unixgram.url, clock=time).send(interval)
    for datagram in unixgram.datagrams():
        second.ingest(datagram, dialect=Dialect(gauge_sign="absolute"))
    await time.advance(10)
    second.rotate(time.now())
    rows = {row.name: row for batch in second.query(Selector(), 60.0).rows() for row in batch}
    assert rows["jobs"].sum == pytest.approx(34.0)
    assert rows["jobs"].tags == (("queue", "mail"),)
    assert (rows["depth"].last, rows["users"].last) == (2.0, 2.0)
    render = rows["render"]
    assert (render.type, render.count) == (MetricType.TIMER, pytest.approx(1200))
    assert (render.min, render.max) == (pytest.approx(samples[0]), pytest.approx(samples[-1]))
    assert render.sum == pytest.approx(2 * sum(samples), rel=0.0055)
    assert render.histogram.quantile(0.5) == pytest.approx(samples[299], rel=0.011)
    assert second.ledger().rejected == {}


def test_its_options_build_it():
    options = DogStatsdForwarder.Options(url="unixgram:///run/dsd.sock", timestamps=False)
    forwarder = DogStatsdForwarder(host="web", **arguments(options, ForwarderOptions))
    assert str(forwarder._endpoint) == "unixgram:///run/dsd.sock"


@pytest.mark.parametrize("url", ["tcp://x:1", "unixgram://x", "udp://", "udp://x:1/path"])
def test_bad_urls_are_refused(url):
    with pytest.raises(ValidationError):
        DogStatsdForwarder.Options(url=url)

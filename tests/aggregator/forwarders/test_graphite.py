from __future__ import annotations

import pickle
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vitald.aggregator.forwarders.graphite import (
    LARGEST_MESSAGE,
    LONGEST_LINE,
    MOST_POINTS,
    GraphiteForwarder,
    encode_pickle,
    encode_plaintext,
    encode_points,
)
from vitald.aggregator.forwarders.graphite_names import Naming
from vitald.config.options import ForwarderOptions, arguments

NAMING = Naming("native", "", True, (50.0,))


def messages(data):
    """Split a pickle stream as carbon does; each message is a list of points."""
    while data:
        (length,) = struct.unpack("!L", data[:4])
        assert length <= LARGEST_MESSAGE
        yield pickle.loads(data[4 : 4 + length])
        data = data[4 + length :]


def test_a_line_is_path_value_and_timestamp():
    skipped = Counter()
    data = encode_plaintext([("a", 1.0), ("b;t=ö", 0.25), ("c", -3e22)], 1700000010, skipped)
    assert data.decode() == "a 1 1700000010\nb;t=ö 0.25 1700000010\nc -3e+22 1700000010\n"


def test_a_line_that_would_close_the_connection_is_skipped_and_counted():
    skipped = Counter()
    longest = "a" * (LONGEST_LINE - len(" 1 1700000010\n"))
    data = encode_plaintext([(longest, 1.0), (longest + "a", 1.0), ("b", 1.0)], 1700000010, skipped)
    assert [len(line) for line in data.splitlines(keepends=True)] == [LONGEST_LINE, 15]
    assert skipped == {"too_long": 1}


def test_numbers_that_are_not_finite_are_never_sent(make):
    skipped = Counter()
    rows = [make.gauge("x", float("nan")), make.gauge("y", float("inf")), make.gauge("z", 1.0)]
    assert list(encode_points(rows, NAMING, 10.0, skipped)) == [("z.last", 1.0)]
    assert skipped == {"not_finite": 2}


def test_a_name_of_which_nothing_is_left_is_skipped_and_counted(make):
    skipped = Counter()
    assert list(encode_points([make.gauge(":::")], NAMING, 10.0, skipped)) == []
    assert skipped == {"unusable_name": 1}


@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False)),
        max_size=50,
    )
)
def test_pickled_points_come_back_as_they_were(points):
    skipped = Counter()
    data = encode_pickle(points, 17, skipped)
    back = [point for message in messages(data) for point in message]
    assert back == [(path, (17, value)) for path, value in points]


@given(st.integers(0, 1300), st.integers(1, 15_000), st.sampled_from("aö"))
def test_pickle_messages_are_within_carbons_limits(count, length, letter):
    skipped = Counter()
    path = letter * (length // len(letter.encode()))
    data = encode_pickle([(path, 1.5)] * count, 17, skipped)
    sizes = [len(message) for message in messages(data)]
    assert sum(sizes) + skipped["too_long"] == count
    assert all(size <= MOST_POINTS for size in sizes)


def test_pickle_messages_have_protocol_2_and_are_as_full_as_they_may_be():
    data = encode_pickle([("x", 1.0)] * 1001, 17, Counter())
    assert data[4:6] == b"\x80\x02"
    assert [len(message) for message in messages(data)] == [500, 500, 1]


def test_a_path_too_long_for_a_message_is_skipped_and_counted():
    skipped = Counter()
    assert encode_pickle([("x" * 20_000, 1.0)], 17, skipped) == b""
    assert skipped == {"too_long": 1}


def test_its_options_build_it():
    options = GraphiteForwarder.Options(url="tcp://graphite", protocol="pickle", percentiles=[99.9])
    forwarder = GraphiteForwarder(host="web", **arguments(options, ForwarderOptions))
    assert str(forwarder._endpoint) == "tcp://graphite:2004"
    assert forwarder._naming.prefix == "stats"


def test_defaults_of_the_options_and_of_the_class_agree():
    options = arguments(GraphiteForwarder.Options(), ForwarderOptions)
    by_options = GraphiteForwarder(host="web", **options)
    by_class = GraphiteForwarder(host="web")
    assert by_options._naming == by_class._naming
    assert by_options._endpoint == by_class._endpoint


@pytest.mark.parametrize(
    "options",
    [
        {"url": "udp://graphite"},
        {"url": "graphite:2003"},
        {"protocol": "amqp"},
        {"profile": "collectd"},
        {"percentiles": [0]},
        {"percentiles": [100]},
        {"colour": "red"},
    ],
    ids=str,
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValidationError):
        GraphiteForwarder.Options(**options)


@pytest.mark.parametrize(
    ("profile", "names"),
    [
        ("statsd", ["stats.counters.c.count", "stats.counters.idle.count", "stats.gauges.old"]),
        ("datadog", ["c"]),
        ("native", ["c.sum"]),
    ],
)
def test_only_the_statsd_profiles_repeat_what_was_idle(make, profile, names):
    idle_gauge, idle_counter = make.gauge("old"), make.counter("idle", 0.0)
    idle_gauge.count = idle_counter.count = 0.0
    interval = make.interval([make.counter("c")], [idle_counter, idle_gauge])
    forwarder = GraphiteForwarder(host="web", profile=profile)
    text = b"".join(forwarder._chunks(interval, Counter())).decode()
    sent = [line.split()[0] for line in text.splitlines()]
    assert [name for name in sent if not name.endswith("rate")] == names
    assert all(line.endswith(" 1700000010") for line in text.splitlines())

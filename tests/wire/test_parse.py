"""The table of docs/wire-protocol.md, line by line, then everything that is not in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.metric import Event, MetricType, SeriesKey, ServiceCheck
from vitald.wire.dialect import Dialect
from vitald.wire.parse import REASONS, Line, Rejected, Sample, parse_line

C, G, MS = MetricType.COUNTER, MetricType.GAUGE, MetricType.TIMER
H, D, S = MetricType.HISTOGRAM, MetricType.DISTRIBUTION, MetricType.SET


def sample(kind, values, rate=1.0, tags=(), name="a", signed=None, timestamp=None):
    if signed is None:
        signed = tuple(False for _ in values) if kind is G else ()
    return Sample(SeriesKey(kind, name, tuple(tags)), list(values), rate, signed, timestamp)


REJECTED = {
    b"a": "malformed",
    b"a:1": "malformed",
    b"a|c": "malformed",
    b"a|b:1|c": "malformed",
    b"a:1|c:2": "malformed",
    b":1|c": "empty_name",
    b";t=1:1|c": "empty_name",
    b"a:|c": "empty_value",
    b"a::1|c": "empty_value",
    b"a:1:|c": "empty_value",
    b"a:|g": "empty_value",
    b"a:::|g": "empty_value",
    b"a:|s": "empty_value",
    b"a:1|": "empty_type",
    b"a:1||@0.5": "empty_type",
    b"a:1|zzz": "unknown_type",
    b"a:1|C": "unknown_type",
    b"a:1|c ": "unknown_type",
    b"a:x|c": "bad_value",
    b"a:0x10|c": "bad_value",
    b"a: 1|c": "bad_value",
    b"a:1 |c": "bad_value",
    b"a:NaN|g": "bad_value",
    b"a:nan|g": "bad_value",
    b"a:Infinity|c": "bad_value",
    b"a:-inf|c": "bad_value",
    b"a:1e400|c": "bad_value",
    b"a:1_0|c": "bad_value",
    b"a:.|c": "bad_value",
    b"a:e5|c": "bad_value",
    b"a:1e|c": "bad_value",
    b"a:--1|c": "bad_value",
    b"a:+|g": "bad_value",
    "a:١٢|c".encode(): "bad_value",
    b"a:1:x:3|c": "bad_value",
    b"a:1|c:x|g": "bad_value",
    b"a:1|c|@0": "bad_sample_rate",
    b"a:1|c|@2": "bad_sample_rate",
    b"a:1|c|@-1": "bad_sample_rate",
    b"a:1|c|@bar": "bad_sample_rate",
    b"a:1|c|@": "bad_sample_rate",
    b"a:1|c|@nan": "bad_sample_rate",
    b"a:1|c|@Infinity": "bad_sample_rate",
    b"a:1|g|@0": "bad_sample_rate",
    b"a\xff:1|c": "bad_encoding",
    b"a:1|c|#t:\xff": "bad_encoding",
    b"a:\xff|s": "bad_encoding",
    b"a\x00:1|c": "bad_encoding",
    b"a\x1b[31m:1|c": "bad_encoding",
    b"a\t:1|c": "bad_encoding",
    b"a:1|c|#t:\x07": "bad_encoding",
    "a\x9b:1|c".encode(): "bad_encoding",
    b"a" * 256 + b":1|c": "too_long",
    b"a:1|c|#" + b"t" * 256: "too_long",
    b"a:1|c|#" + b",".join(b"t%d" % i for i in range(33)): "too_many_tags",
    b"_e{5,4}:titl|text": "malformed",
    b"_e{0,4}:|text": "malformed",
    b"_e{5}:title|text": "malformed",
    b"_e{5,9}:title|text": "malformed",
    b"_e{5,4}:title|textmore": "malformed",
    b"_e{99999999999999999999,1}:a|b": "malformed",
    b"_e{1,1}:\xc3\xa9|b": "malformed",
    b"_sc|name": "malformed",
    b"_sc||0": "empty_name",
    b"_sc|name|4": "bad_value",
    b"_sc|name|ok": "bad_value",
    b"_sc|na\x1bme|0": "bad_encoding",
}

ACCEPTED = {
    b"a:1|c": [sample(C, [1])],
    b"a:1|m": [sample(C, [1])],
    b"a:1|c\r": [sample(C, [1])],
    b"a:-1|c": [sample(C, [-1])],
    b"a:.5|c": [sample(C, [0.5])],
    b"a:1.|c": [sample(C, [1])],
    b"a:1e3|c": [sample(C, [1000])],
    b"a:1E+3|c": [sample(C, [1000])],
    b"a:1|c|@+0.1": [sample(C, [1], 0.1)],
    b"a:1|c|@2e-1": [sample(C, [1], 0.2)],
    b"a:1|c|@1": [sample(C, [1])],
    b"a:1:2:3|c": [sample(C, [1, 2, 3])],
    b"a:1:2:3|ms": [sample(MS, [1, 2, 3])],
    b"a:1:2|h|@0.5": [sample(H, [1, 2], 0.5)],
    b"a:1|d": [sample(D, [1])],
    b"a:1|c:2|g": [sample(C, [1]), sample(G, [2])],
    b"a:1|c|@0.5:2|ms|@0.1": [sample(C, [1], 0.5), sample(MS, [2], 0.1)],
    b"a:1|c:2|g|#t:1": [sample(C, [1], tags=[("t", "1")]), sample(G, [2], tags=[("t", "1")])],
    b"a:x:y|s": [sample(S, [b"x:y"])],
    b"a:x|s": [sample(S, [b"x"])],
    b"a: |s": [sample(S, [b" "])],
    b"a:5|g": [sample(G, [5])],
    b"a:-5|g": [sample(G, [-5], signed=(True,))],
    b"a:+5|g": [sample(G, [5], signed=(True,))],
    b"a:1:-2|g": [sample(G, [1, -2], signed=(False, True))],
    b"a:5|g|@0.5": [sample(G, [5])],
    b"a:-5|ms": [sample(MS, [-5])],
    b"a:1|c|#t:1|@0.5": [sample(C, [1], 0.5, [("t", "1")])],
    b"a:1|c|#b:2,a:1": [sample(C, [1], tags=[("a", "1"), ("b", "2")])],
    b"a:1|c|#a:1,a:2": [sample(C, [1], tags=[("a", "2")])],
    b"a:1|c|#u:http://x": [sample(C, [1], tags=[("u", "http://x")])],
    b"a:1|c|c:ci-x": [sample(C, [1])],
    b"a:1|c|#t:1|c:ci-x|e:it-y|card:low": [sample(C, [1], tags=[("t", "1")])],
    b"a;t=1:1|c": [sample(C, [1], tags=[("t", "1")])],
    b"a;t=1;u=2:1|c|#t:3": [sample(C, [1], tags=[("t", "3"), ("u", "2")])],
    b"a,t=1:1|c": [sample(C, [1], name="a,t=1")],
    b"a#t=1:1|c": [sample(C, [1], name="a#t=1")],
    b"a[t=1]:1|c": [sample(C, [1], name="a[t=1]")],
    b"a:1|c|T165658": [sample(C, [1], timestamp=165658)],
    b"a:1|g|T165658|#t:1": [sample(G, [1], tags=[("t", "1")], timestamp=165658)],
    "é:1|c".encode(): [sample(C, [1], name="é")],
    b"_foo:1|c": [sample(C, [1], name="_foo")],
    b"_scale:1|c": [sample(C, [1], name="_scale")],
    b"_e:1|c": [sample(C, [1], name="_e")],
    b"a b:1|c": [sample(C, [1], name="a b")],
    b"a" * 255 + b":1|c": [sample(C, [1], name="a" * 255)],
}

NOTED = {
    b"a:1|c|#b:2,a:1,a:1,bare,,:x": (
        sample(C, [1], tags=[("a", "1"), ("b", "2"), ("bare", "")]),
        ("dropped_tag", "dropped_tag"),
    ),
    b"a;=x;t=1:1|c": (sample(C, [1], tags=[("t", "1")]), ("dropped_tag",)),
    b"a:1|h|@1e-9": (sample(H, [1], 1e-6), ("clamped_rate",)),
    b"a:1|c|zz:new": (sample(C, [1]), ("unknown_field",)),
    b"a:1|c|": (sample(C, [1]), ("unknown_field",)),
    b"a:1|ms|T165658": (sample(MS, [1]), ("ignored_timestamp",)),
    b"a:1|c|T0": (sample(C, [1]), ("ignored_timestamp",)),
    b"a:1|c|T-5": (sample(C, [1]), ("ignored_timestamp",)),
    b"a:1|c|T" + b"9" * 400: (sample(C, [1]), ("ignored_timestamp",)),
}

EXTENDED = {
    b"_e{5,4}:title|text": Event("title", "text"),
    b"_e{5,0}:title|": Event("title", ""),
    b"_e{3,7}:a|b|text|me|t:error|p:low|d:1700000000|h:web1|k:key|s:src|#b:2,a": Event(
        "a|b", "text|me", 1700000000, "web1", "key", "low", "src", "error", (("a", ""), ("b", "2"))
    ),
    b"_e{2,4}:\xc3\xa9|a\\nb": Event("é", "a\nb"),
    b"_e{5,4}:title|text|c:ci-x|e:y|card:low": Event("title", "text"),
    b"_sc|name|0": ServiceCheck("name", 0),
    b"_sc|name|3|d:1700000000|h:web1|#a:1|m:down: a|b": ServiceCheck(
        "name", 3, 1700000000, "web1", "down: a|b", (("a", "1"),)
    ),
    b"_sc|name|1|m:slow|c:ci-x": ServiceCheck("name", 1, message="slow"),
}


@pytest.mark.parametrize("line", REJECTED, ids=repr)
def test_a_line_is_rejected_under_its_one_reason(line):
    assert parse_line(line) == Rejected(REJECTED[line])
    assert REJECTED[line] in REASONS


@pytest.mark.parametrize("line", ACCEPTED, ids=repr)
def test_a_line_gives_its_samples(line):
    assert parse_line(line) == Line(tuple(ACCEPTED[line]))


@pytest.mark.parametrize("line", NOTED, ids=repr)
def test_what_is_odd_but_harmless_is_taken_and_noted(line):
    expected, notes = NOTED[line]
    assert parse_line(line) == Line((expected,), notes=notes)


@pytest.mark.parametrize("line", EXTENDED, ids=repr)
def test_an_event_or_check_is_understood(line):
    assert parse_line(line) == Line(extended=EXTENDED[line])


@pytest.mark.parametrize(
    ("line", "note"),
    [
        (b"_e{1,1}:a|b|p:urgent", "bad_field"),
        (b"_e{1,1}:a|b|t:fatal", "bad_field"),
        (b"_e{1,1}:a|b|d:yesterday", "bad_field"),
        (b"_e{1,1}:a|b|zz", "unknown_field"),
        (b"_sc|a|0|d:x", "bad_field"),
        (b"_sc|a|0|zz:1", "unknown_field"),
        (b"_sc|a|0|#,a", "dropped_tag"),
    ],
)
def test_a_bad_optional_part_is_noted_and_the_rest_kept(line, note):
    parsed = parse_line(line)
    assert isinstance(parsed, Line)
    assert parsed.extended is not None
    assert parsed.notes == (note,)


@pytest.mark.parametrize("line", [b"a:-5|g", b"a:+5|g"])
def test_a_signed_gauge_is_absolute_where_the_listener_says_so(line):
    parsed = parse_line(line, Dialect(gauge_sign="absolute"))
    assert isinstance(parsed, Line)
    assert parsed.samples[0].signed == (False,)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"abcdef:1|c", "too_long"),
        (b"abcde:1|c|#t:1234", "too_long"),
        (b"abcde:1|c|#a,b", "too_many_tags"),
        (b"_sc|abcdef|0", "too_long"),
        (b"_sc|abcde|0|#a,b", "too_many_tags"),
        (b"_e{1,1}:a|b|#a,b", "too_many_tags"),
    ],
)
def test_the_limits_are_the_listeners(line, reason):
    assert parse_line(line, Dialect(name_length=5, tags=1)) == Rejected(reason)
    assert isinstance(parse_line(line), Line)


@pytest.mark.parametrize(
    ("line", "tag_format"),
    [
        (b"a;t=1,u=2:1|c", "graphite"),
        (b"a,t=1:1|c", "influx"),
        (b"a#t=1:1|c", "librato"),
        (b"a[t=1]:1|c", "signalfx"),
        (b"[t=1]a:1|c", "signalfx"),
    ],
)
def test_each_tag_format_is_read_when_it_is_enabled(line, tag_format):
    parsed = parse_line(line, Dialect(tag_formats=frozenset({tag_format})))
    assert isinstance(parsed, Line)
    assert parsed.samples[0].key.name == "a"
    assert dict(parsed.samples[0].key.tags)["t"].startswith("1")


@given(st.binary(max_size=300))
def test_random_bytes_never_raise(line):
    parsed = parse_line(line)
    assert isinstance(parsed, Line) or parsed.reason in REASONS


@given(
    st.sampled_from([*ACCEPTED, *EXTENDED, *NOTED]),
    st.integers(0, 60),
    st.binary(max_size=4),
    st.sampled_from(["insert", "replace", "delete"]),
)
def test_mutated_good_lines_never_raise(line, at, noise, how):
    keep = at + (len(noise) if how != "insert" else 0)
    mutated = line[:at] + (noise if how != "delete" else b"") + line[keep:]
    parsed = parse_line(mutated)
    assert isinstance(parsed, Line) or parsed.reason in REASONS


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives_the_wire(value):
    parsed = parse_line(f"a:{value!r}|ms".encode())
    assert isinstance(parsed, Line)
    assert parsed.samples[0].values == [value]

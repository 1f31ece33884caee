"""Encoding, read back by a small decoder that shares nothing with the project's parser."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.wire import encode

anything = st.text(st.characters(), max_size=40)
words = st.text("abcdefghijklmnopqrstuvwxyz_.é世", min_size=1, max_size=20)
values = st.one_of(st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False))
rates = st.floats(min_value=encode.MIN_RATE, max_value=1.0)
tag_lists = st.lists(st.tuples(anything, anything), max_size=5)
plain_tags = st.dictionaries(words, words, max_size=4)


def read(line: str) -> dict:
    """Decode one metric line of the plain form name:value|type|@rate|#tags|Ttime."""
    assert "\n" not in line
    head, *fields = line.split("|")
    name, _, value = head.partition(":")
    out = {"name": name, "value": value, "type": fields.pop(0), "rate": 1.0, "tags": {}}
    for field in fields:
        if field.startswith("@"):
            out["rate"] = float(field[1:])
        elif field.startswith("#"):
            out["tags"] = {k: v for k, _, v in (t.partition(":") for t in field[1:].split(","))}
        elif field.startswith("T"):
            out["timestamp"] = int(field[1:])
        else:
            raise AssertionError(field)
    return out


def is_exactly(text: str, value: float) -> bool:
    return int(text) == value if isinstance(value, int) else float(text) == value


@given(words, values, st.sampled_from(["c", "ms", "h", "d"]), rates, plain_tags)
def test_a_metric_reads_back_as_what_was_encoded(name, value, wire_type, rate, tags):
    line = encode.metric_line(name, encode.number(value), wire_type, rate, tags.items())
    got = read(line)
    assert (got["name"], got["type"], got["rate"]) == (name, wire_type, rate)
    assert got["tags"] == tags
    assert is_exactly(got["value"], value)


@given(anything, anything, tag_lists)
def test_hostile_text_never_makes_a_second_line_or_field(name, member, tags):
    try:
        line = encode.metric_line(name, member, "s", 1.0, tags)
    except ValueError:
        assert not name or not member
        return
    assert len(line.splitlines()) == 1
    line.encode("utf-8")
    assert all(ch.isprintable() or ord(ch) >= 0xA0 for ch in line)
    got = read(line)
    assert got["name"] == encode.clean_name(name)
    assert got["value"] == encode.clean_member(member)
    assert got["tags"] == dict(encode.clean_tag(k, v) for k, v in tags if k)


@given(anything)
def test_a_clean_name_is_clean_already(name):
    cleaned = encode.clean_name(name)
    assert encode.clean_name(cleaned) == cleaned
    assert len(cleaned) == len(name)


@given(values)
def test_a_number_is_exact(value):
    text = encode.number(value)
    assert is_exactly(text, value)
    assert not set(text) - set("0123456789+-.e")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (True, "1"),
        (1.0, "1"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e-7, "1e-07"),
        (1e22, "1e+22"),
        (2**53 + 1, "9007199254740993"),
        (Fraction(1, 4), "0.25"),
    ],
)
def test_a_number_is_written_as_short_as_it_can_be(value, text):
    assert encode.number(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, None, "1", b"1", []])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="cannot encode a value"):
        encode.number(value)


@given(st.integers(-5, 5) | st.floats(-1e9, 1e9))
def test_gauge_lines_leave_the_gauge_at_the_value_whatever_it_was(value):
    gauge = 123.0
    for line in encode.gauge_lines("depth", value, [("q", "mail")]):
        got = read(line)
        assert got["tags"] == {"q": "mail"}
        is_delta = got["value"].startswith(("+", "-"))
        gauge = gauge + float(got["value"]) if is_delta else float(got["value"])
    assert gauge == value


def test_a_negative_gauge_is_a_zero_and_a_decrement():
    assert encode.gauge_lines("depth", -5) == ["depth:0|g", "depth:-5|g"]
    assert encode.gauge_lines("depth", 5) == ["depth:5|g"]


@pytest.mark.parametrize(("value", "text"), [(5, "+5"), (-5, "-5"), (0, "+0"), (-0.0, "+0")])
def test_a_delta_always_has_its_sign(value, text):
    assert encode.signed(value) == text


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("api.time", "api.time"),
        ("a:b|c@d,e;f#g h", "a_b_c_d_e_f_g_h"),
        ("a\nb:1|c", "a_b_1_c"),
        ("_e{1,1}:a|b", "_e_1_1}_a_b"),
        ("_sc|db|0", "_sc_db_0"),
        ("naïve.世界", "naïve.世界"),
        ("\udcff", "?"),
        (b"raw", "raw"),
        (7, "7"),
    ],
)
def test_names_lose_what_the_grammar_reads(name, cleaned):
    assert encode.clean_name(name) == cleaned


@pytest.mark.parametrize(
    ("tags", "field"),
    [
        ([], ""),
        ([("a", "1"), ("bare", "")], "|#a:1,bare"),
        ([("", "keyless")], ""),
        ([("url", "http://h:1/p#x@y")], "|#url:http://h:1/p#x@y"),
        ([("a:b", "c|d,e\n")], "|#a_b:c_d_e_"),
    ],
)
def test_tag_fields(tags, field):
    assert encode.tag_field(tags) == field


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("", "1", "c"), "the name is empty"),
        (("a", "", "c"), "the value is empty"),
        (("a", "1", "zzz"), "unknown type 'zzz'"),
        (("a", "1", "c", 0), "the rate 0 is not"),
        (("a", "1", "c", 1.5), "the rate 1.5 is not"),
        (("a", "1", "c", math.nan), "the rate nan is not"),
    ],
)
def test_what_cannot_be_a_metric_is_refused_with_the_cause(arguments, cause):
    with pytest.raises(ValueError, match=cause):
        encode.metric_line(*arguments)


def test_only_counters_and_gauges_take_a_timestamp():
    assert encode.metric_line("a", "1", "c", timestamp=1700000000) == "a:1|c|T1700000000"
    with pytest.raises(ValueError, match="takes no timestamp"):
        encode.metric_line("a", "1", "ms", timestamp=1700000000)


def test_an_event_counts_the_bytes_of_its_escaped_texts():
    assert encode.event_line("é", "a\nb") == "_e{2,4}:é|a\\nb"
    line = encode.event_line(
        "deploy",
        "v2|x",
        timestamp=1700000000,
        host="web1",
        aggregation_key="k",
        priority="low",
        source_type="ci",
        alert_type="error",
        tags=[("env", "prod")],
    )
    assert line == "_e{6,4}:deploy|v2|x|d:1700000000|h:web1|k:k|p:low|s:ci|t:error|#env:prod"


@given(anything.filter(bool), anything, plain_tags)
def test_an_event_reads_back_by_its_lengths(title, text, tags):
    line = encode.event_line(title, text, tags=tags.items()).encode()
    assert b"\n" not in line
    head, _, rest = line.partition(b"}:")
    first, second = map(int, head[3:].split(b","))
    assert rest[first : first + 1] == b"|"
    tail = rest[first + 1 + second :].decode()
    assert tail == encode.tag_field(tags.items())
    if title.isprintable() and title.isascii():
        assert rest[:first].decode() == title


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"priority": "high"}, "unknown priority"),
        ({"alert_type": "fatal"}, "unknown alert type"),
    ],
)
def test_an_event_with_an_unknown_word_is_refused(options, cause):
    with pytest.raises(ValueError, match=cause):
        encode.event_line("title", "text", **options)


def test_an_event_without_a_title_is_refused():
    with pytest.raises(ValueError, match="the title is empty"):
        encode.event_line("", "text")


def test_a_service_check_puts_its_message_last():
    line = encode.service_check_line(
        "db", 2, timestamp=1, host="h", message="down|since\nnow", tags=[("a", "b")]
    )
    assert line == "_sc|db|2|d:1|h:h|#a:b|m:down_since\\nnow"
    assert encode.service_check_line("db", 0) == "_sc|db|0"


@pytest.mark.parametrize(("name", "status"), [("", 0), ("db", 4), ("db", -1), ("db", None)])
def test_a_service_check_without_name_or_known_status_is_refused(name, status):
    with pytest.raises(ValueError, match="cannot encode"):
        encode.service_check_line(name, status)

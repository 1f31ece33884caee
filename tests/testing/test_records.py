from __future__ import annotations

import pytest

from vitald.testing import Record
from vitald.testing.records import gather, level, read_lines, total


def read(*lines):
    return list(read_lines(lines))


def test_a_packed_line_is_a_record_for_every_value():
    line = "render:12.5:3|ms|@0.5|#route:home"
    assert read(line) == [
        Record("timer", "render", {"route": "home"}, value, 0.5, line=line) for value in (12.5, 3.0)
    ]


@pytest.mark.parametrize(
    ("line", "type_", "value"),
    [
        ("a:1|c", "counter", 1.0),
        ("a:1|g", "gauge", 1.0),
        ("a:1|ms", "timer", 1.0),
        ("a:1|h", "histogram", 1.0),
        ("a:1|d", "distribution", 1.0),
        ("a:x:y|s", "set", "x:y"),
        ("_sc|a|2|m:down", "service_check", 2),
        ("_e{1,4}:a|down", "event", "down"),
    ],
)
def test_every_type_is_read_back(line, type_, value):
    (record,) = read(line)
    assert (record.type, record.name, record.value, record.line) == (type_, "a", value, line)


def test_an_events_fields_are_kept():
    (record,) = read("_e{1,1}:t|x|d:17|k:key|p:low|t:error|#env:test")
    assert record.tags == {"env": "test"}
    assert record.timestamp == 17
    assert record.fields["aggregation_key"] == "key"
    assert (record.fields["priority"], record.fields["alert_type"]) == ("low", "error")


def test_a_timestamp_is_kept():
    assert read("a:1|c|T1700000000")[0].timestamp == 1_700_000_000


def test_a_line_that_a_sidecar_refuses_is_an_error():
    with pytest.raises(ValueError, match=r"cannot read 'a:x\|c' back: bad_value"):
        read("a:x|c")


def test_a_counters_total_is_weighted_by_its_rates():
    assert total(read("a:1|c|@0.1", "a:2|c", "a:-1|c")) == 11


def test_a_gauges_level_is_its_last_value_moved_by_what_came_after():
    assert level(read("a:9|g", "a:5|g", "a:+2|g", "a:-1|g")) == 6
    assert level(read("a:+2|g", "a:+2|g")) == 4
    assert level(read("a:3|g", "a:0|g", "a:-5|g")) == -5


def test_series_are_gathered_by_type_name_and_tags_in_the_order_of_their_first():
    series = gather(read("b:1|c", "a:1|c|#x:1,y:2", "b:1|g", "b:2|c", "a:2|c|#y:2,x:1"))
    assert [(one.type, one.name, one.values) for one in series] == [
        ("counter", "b", [1, 2]),
        ("counter", "a", [1, 2]),
        ("gauge", "b", [1]),
    ]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["a:1|c|@0.5", "a:1|c|@0.5"], "counter a: total 4"),
        (["a:5|g|#x:1,bare"], "gauge a{bare, x=1}: level 5"),
        (["a:0.1|ms"], "timer a: 1 value: 0.1"),
        (["a:0.30000000000000004|ms"], "timer a: 1 value: 0.30000000000000004"),
        (
            ["a:0:1:2:3:4:5:6:7:8:9|d"],
            "distribution a: 10 values: 0, 1, 2, 3, 4, 5, 6, 7, … 2 more",
        ),
        (["a:x|s", "a:x|s", "a:y|s"], "set a: 2 members: x, y"),
        (["_sc|a|0", "_sc|a|2"], "service_check a: 2 statuses: 0 (healthy), 2 (critical)"),
        (["_e{1,2}:a|hi"], "event a: 1 text: 'hi'"),
    ],
)
def test_a_series_is_shown_by_what_its_values_come_to(lines, text):
    (series,) = gather(read(*lines))
    assert str(series) == text

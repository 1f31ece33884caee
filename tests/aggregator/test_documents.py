from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.aggregator import documents
from vitald.aggregator.claims import Claims
from vitald.aggregator.interval import Ledger, Row
from vitald.metric import SAMPLED_TYPES, MetricType
from vitald.sketch import Sketch
from vitald.status import Status

numbers = st.none() | st.floats() | st.integers(-(2**60), 2**60).map(float)
# Python 3.10 cannot read NUL in CSV; the wire rejects it anyway.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
tags = st.dictionaries(words.filter(bool), words, max_size=4).map(
    lambda pairs: tuple(sorted(pairs.items()))
)


@st.composite
def rows(draw):
    kind = draw(st.sampled_from(list(MetricType)))
    row = Row(
        kind,
        draw(words),
        draw(tags),
        count=draw(st.floats(0, 1e12)),
        sum=draw(st.floats()),
        min=draw(numbers),
        max=draw(numbers),
        last=draw(numbers),
        unique=draw(st.none() | st.integers(0, 10**9)),
    )
    if kind in SAMPLED_TYPES:
        row.histogram = Sketch()
        row.histogram.insert(draw(st.lists(st.floats(-1e9, 1e9), max_size=5)))
    return row


def reject_constant(word):
    raise AssertionError(f"{word} is no JSON")


def loads(text):
    return json.loads(text, parse_constant=reject_constant)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (-17, "-17"),
        (0.1, "0.1"),
        (2.0**53, "9007199254740992"),
        (1e22, "1e+22"),
        (math.nan, "null"),
        (math.inf, "null"),
        (-math.inf, "null"),
    ],
)
def test_a_number_is_written_as_json_without_a_needless_fraction(value, text):
    assert documents.number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_exactly(value):
    assert loads(documents.number(value)) == value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.1239, "2023-11-14T22:13:20.124Z"),
        (-1.5, "1969-12-31T23:59:58.500Z"),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (1e300, None),
        (10**400, None),
        (-1e12, None),
    ],
)
def test_an_instant_is_rfc_3339_in_utc_or_null(seconds, text):
    assert documents.rfc3339(seconds) == text


@given(rows(), st.floats(0, 1e6))
def test_every_row_is_one_line_of_ascii_json_with_all_keys_and_no_nan(row, seconds):
    text = documents.metric_json(documents.measure(row, seconds))
    assert text.isascii()
    assert text.isprintable()
    entry = loads(text)
    assert list(entry) == [
        *("name", "type", "tags", "count", "rate", "sum", "min", "max", "mean"),
        *("last", "unique", "quantiles"),
    ]
    assert (entry["name"], entry["type"], entry["tags"]) == (row.name, row.type, dict(row.tags))
    assert set(entry["quantiles"]) in ({"0.5", "0.9", "0.95", "0.99"}, set())
    assert bool(entry["quantiles"]) == (row.type in SAMPLED_TYPES)


def entry_of(row, seconds=60.0):
    return loads(documents.metric_json(documents.measure(row, seconds)))


def test_a_counters_rate_is_its_sum_per_second():
    row = Row(MetricType.COUNTER, "jobs", (), count=3.0, sum=120.0)
    assert entry_of(row)["rate"] == 2


def test_a_timers_rate_is_its_count_per_second_and_it_has_quantiles():
    sketch = Sketch()
    sketch.insert([float(value) for value in range(1, 101)])
    row = Row(MetricType.TIMER, "render", (), 100.0, 5050.0, 1.0, 100.0, histogram=sketch)
    entry = entry_of(row, 50.0)
    assert entry["rate"] == 2
    assert entry["mean"] == 50.5
    assert entry["quantiles"]["0.5"] == pytest.approx(50, rel=0.0055)
    assert entry["quantiles"]["0.99"] == pytest.approx(99, rel=0.0055)


def test_a_set_has_a_cardinality_and_no_sum():
    entry = entry_of(Row(MetricType.SET, "users", (), count=5.0, unique=3))
    assert entry["unique"] == 3
    assert entry["rate"] == 5 / 60
    assert [entry[key] for key in ("sum", "min", "max", "mean", "last")] == [None] * 5


def test_an_idle_gauge_shows_its_last_value_and_no_samples():
    entry = entry_of(Row(MetricType.GAUGE, "level", (), last=7.0))
    assert (entry["last"], entry["count"], entry["mean"], entry["min"]) == (7, 0, None, None)


def test_a_rate_over_no_time_is_null():
    assert entry_of(Row(MetricType.COUNTER, "jobs", (), 1.0, 1.0), seconds=0.0)["rate"] is None


@given(st.lists(rows(), max_size=5))
def test_csv_is_read_back_field_by_field(found):
    text = "".join([documents.metric_csv(documents.measure(row, 10.0)) for row in found])
    back = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(fields) for fields in back] == [len(documents.CSV_COLUMNS)] * len(found)
    assert [fields[0] for fields in back] == [row.name for row in found]
    assert [fields[2] for fields in back] == [documents.tags_text(row.tags) for row in found]


def test_csv_lines_end_with_crlf_and_quotes_are_doubled():
    row = Row(MetricType.COUNTER, 'say "hi"', (("a", "1,2"), ("bare", "")), count=1.0, sum=1.5)
    assert documents.metric_csv(documents.measure(row, 10.0)) == (
        '"say ""hi""",counter,"a=1,2,bare",1,0.15,1.5,,,1.5,,,,,,\r\n'
    )


def test_no_document_ever_holds_nan():
    text = documents.dump({"a": math.nan, "b": [math.inf, {"c": (-math.inf, 1)}], "d": "NaN"})
    assert loads(text) == {"a": None, "b": [None, {"c": [None, 1]}], "d": "NaN"}


def test_a_document_and_an_entry_write_the_same_number_alike():
    assert documents.dump([60.0, 1e22, 0.5, -0.0, True, 2**70]) == (
        "[60,1e+22,0.5,0,true,1180591620717411303424]"
    )


def test_a_document_carries_no_control_character_to_a_terminal():
    text = documents.dump({"message": "\x1b[31m\x9b\x7f\u2028é"})
    assert re.fullmatch(r"[ -~]+", text)
    assert loads(text) == {"message": "\x1b[31m\x9b\x7f\u2028é"}


def test_a_health_entry_has_exactly_the_contracts_keys(make_report):
    report = make_report("docker", Status.CRITICAL, "docker", "unhealthy", "no daemon")
    report.observations = {"docker_containers_running": None}
    assert documents.health_entry(report) == {
        "name": "docker",
        "type": "docker",
        "status": "critical",
        "code": 2,
        "label": "unhealthy",
        "message": "no daemon",
        "since": "2023-11-14T22:13:20.000Z",
        "last_run": "2023-11-14T22:13:25.500Z",
        "duration_seconds": 0.25,
        "flags": [],
        "observations": {"docker_containers_running": None},
    }


def test_a_run_shows_the_reported_status_and_what_the_run_itself_found(make_report, make_result):
    report = make_report("root_disk")
    report.raw = make_result(Status.CRITICAL, "97 % used", [("disk_usage_percent{path=/}", 97.0)])
    document = documents.run_document(report, "2023-11-14T22:13:20.000Z")
    assert document["status"] == "healthy"
    assert document["result"] == {
        "status": "critical",
        "code": 2,
        "message": "97 % used",
        "observations": {"disk_usage_percent{path=/}": 97.0},
    }


def test_a_run_that_left_no_result_says_null(make_report):
    assert documents.run_document(make_report("new"), None)["result"] is None


def test_the_ledger_document_has_the_contracts_keys_and_all_of_the_ledger():
    ledger = Ledger(
        datagrams_received=7,
        lines=10,
        aggregated=6,
        rejected={"bad_value": 3},
        shed={"too_many_events": 1},
        series_active=2,
        series_limit=100,
        series_overflowed=4,
    )
    document = documents.ledger_document(ledger, None)
    contract = {"schema", "datagrams_received", "bytes_received", "kernel_dropped", "lines"}
    contract |= {"aggregated", "rejected", "shed", "late", "series", "client_reported"}
    assert contract <= set(document)
    assert document["series"] == {"active": 2, "limit": 100, "overflowed": 4}
    fields = {name for name in Ledger.__dataclass_fields__ if not name.startswith("series_")}
    assert fields <= set(document)


def test_the_section_of_clients_has_the_contracts_keys():
    claims = Claims(0.0)
    client = (("client", "web-1-aa"),)
    claims.settle([Row(MetricType.COUNTER, "vitald.client.received", client, 2, 30.0)], 10.0)
    section = documents.clients_section(claims)
    assert section["clients"] == [
        {
            "client": "web-1-aa",
            "claimed": 30,
            "received": 30,
            "lost": 0,
            "claimed_datagrams": 2,
            "received_datagrams": 2,
            "lost_datagrams": 0,
            "last_seen": "1970-01-01T00:00:10.000Z",
            "dropped": {},
        }
    ]
    assert section["clients_total"] == {
        "clients": 1,
        "untracked": 0,
        "claimed": 30,
        "received": 30,
        "lost": 0,
        "claimed_datagrams": 2,
        "received_datagrams": 2,
        "lost_datagrams": 0,
    }


def test_of_many_clients_the_worst_are_the_first():
    claims = Claims(0.0)
    rows = []
    for number in range(30):
        client = (("client", f"web-{number}-aa"),)
        rows.append(
            Row(MetricType.GAUGE, "vitald.client.claimed", client, 1, min=number, last=number)
        )
        rows.append(Row(MetricType.GAUGE, "vitald.client.started", client, 1, min=5, last=5))
    claims.settle(rows, 10.0)
    claims.settle([], 20.0)
    section = documents.clients_section(claims, 3)
    assert [entry["lost"] for entry in section["clients"]] == [29, 28, 27]
    assert section["clients_total"]["clients"] == 30


def test_a_forwarders_instants_are_shown_as_text():
    entry = documents.forwarder_entry({"name": "g", "sent": 3, "last_sent": 0.0, "last_error": ""})
    assert entry["last_sent"] == "1970-01-01T00:00:00.000Z"
    assert entry["sent"] == 3

from __future__ import annotations

import json
import zlib
from collections import Counter
from random import Random

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.aggregator.forwarders.datadog_payloads import (
    LARGEST_COMPRESSED,
    LARGEST_RAW,
    Origin,
    encode_checks,
    encode_event,
    encode_series,
    pack_series,
)
from vitald.metric import Event, MetricType, ServiceCheck

STAMP = 1_700_000_010
ORIGIN = Origin("web", ("env:prod",))


def series(rows, seconds=10.0, origin=ORIGIN, percentiles=(95.0,)):
    skipped = Counter()
    encoded = encode_series(rows, STAMP, seconds, origin, percentiles=percentiles, skipped=skipped)
    return [json.loads(item) for item in encoded], skipped


def unpacked(payload):
    if payload.encoding == "deflate":
        return zlib.decompress(payload.body)
    assert payload.encoding == "zstd1"
    return bytes(cramjam.zstd.decompress(payload.body))


def test_a_counter_is_a_rate_with_its_interval(make):
    (item,), _ = series([make.counter("jobs", 7.0, (("queue", "mail"), ("urgent", "")))])
    assert item == {
        "metric": "jobs",
        "type": 2,
        "points": [{"timestamp": STAMP, "value": 0.7}],
        "tags": ["queue:mail", "urgent", "env:prod"],
        "interval": 10,
        "resources": [{"name": "web", "type": "host"}],
    }


def test_gauges_and_sets_are_gauges(make):
    items, _ = series([make.gauge("depth", -2.5), make.unique("users", 3)])
    values = [(item["metric"], item["type"], item["points"][0]["value"]) for item in items]
    assert values == [("depth", 3, -2.5), ("users", 3, 3)]
    assert all("interval" not in item for item in items)


def test_a_timer_is_the_agents_five_series(make):
    items, _ = series([make.timer("render", [1.0, 2.0, 4.0, 4.0])], percentiles=(95, 99))
    shown = {item["metric"]: (item["type"], item["points"][0]["value"]) for item in items}
    assert shown == {
        "render.avg": (3, 2.75),
        "render.count": (2, 0.4),
        "render.max": (3, 4.0),
        "render.median": (3, pytest.approx(2.0, rel=0.0055)),
        "render.95percentile": (3, pytest.approx(4.0, rel=0.0055)),
        "render.99percentile": (3, pytest.approx(4.0, rel=0.0055)),
    }


@given(st.integers(0, 10**9), st.floats(0.001, 100))
def test_rate_times_the_declared_interval_is_the_count(count, seconds):
    from vitald.aggregator.interval import Row

    row = Row(MetricType.COUNTER, "x", (), count=1.0, sum=float(count))
    (item,), _ = series([row], seconds)
    assert isinstance(item["interval"], int)
    assert item["interval"] >= 1
    assert item["points"][0]["value"] * item["interval"] == pytest.approx(count, rel=1e-12)


def test_idle_counters_are_zero_and_idle_gauges_are_silent(make):
    idle = make.counter("jobs", 0.0), make.gauge("depth", 5.0)
    for row in idle:
        row.count = 0.0
    items, _ = series(idle)
    assert [(item["metric"], item["points"][0]["value"]) for item in items] == [("jobs", 0.0)]


def test_a_host_tag_names_another_host(make):
    items, _ = series(
        [make.gauge("a", tags=(("host", "db"),)), make.gauge("b", tags=(("host", ""),))]
    )
    assert items[0]["resources"] == [{"name": "db", "type": "host"}]
    assert items[0]["tags"] == ["env:prod"]
    assert "resources" not in items[1]


def test_what_is_not_finite_is_counted_and_never_in_the_json(make):
    items, skipped = series([make.gauge("a", float("nan")), make.counter("b", float("inf"))])
    assert items == []
    assert skipped == {"not_finite": 2}


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
@given(data=st.data())
def test_payloads_are_within_both_limits_and_lose_nothing(compression, data):
    pieces = data.draw(st.lists(st.binary(min_size=1, max_size=80).map(bytes.hex), max_size=60))
    pieces = [json.dumps({"metric": piece}).encode() for piece in pieces]
    raw = data.draw(st.integers(60, 1000))
    compressed = data.draw(st.integers(40, 300))
    skipped = Counter()
    payloads = list(pack_series(pieces, compression, skipped, raw=raw, compressed=compressed))
    found = []
    for payload in payloads:
        assert len(payload.body) <= compressed
        body = unpacked(payload)
        assert len(body) <= raw
        found += json.loads(body)["series"]
        assert payload.items == len(json.loads(body)["series"])
    expected = [json.loads(piece) for piece in pieces]
    assert len(found) + skipped["too_large"] == len(expected)
    assert [item for item in expected if item in found] == found


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
def test_an_interval_larger_than_the_real_limits_is_split(make, compression):
    random = Random(1)
    rows = [
        make.gauge(
            random.randbytes(60).hex(), random.random(), (("id", random.randbytes(40).hex()),)
        )
        for _ in range(15_000)
    ]
    skipped = Counter()
    encoded = encode_series(rows, STAMP, 10.0, ORIGIN, percentiles=(), skipped=skipped)
    payloads = list(pack_series(encoded, compression, skipped))
    assert len(payloads) > 1
    assert all(len(payload.body) <= LARGEST_COMPRESSED for payload in payloads)
    bodies = [unpacked(payload) for payload in payloads]
    assert all(len(body) <= LARGEST_RAW for body in bodies)
    assert sum(len(json.loads(body)["series"]) for body in bodies) == 15_000
    assert skipped == {}


def test_service_checks_have_their_time_host_and_status():
    checks = [
        ServiceCheck("db", 2, message="down", tags=(("db", "main"),)),
        ServiceCheck("web", 0, timestamp=STAMP - 60, host="other"),
    ]
    (payload,) = encode_checks(checks, STAMP, ORIGIN, now=STAMP, skipped=Counter())
    assert json.loads(payload.body) == [
        {
            "check": "db",
            "host_name": "web",
            "status": 2,
            "timestamp": STAMP,
            "message": "down",
            "tags": ["db:main", "env:prod"],
        },
        {
            "check": "web",
            "host_name": "other",
            "status": 0,
            "timestamp": STAMP - 60,
            "message": "",
            "tags": ["env:prod"],
        },
    ]
    assert payload.expires == STAMP - 60 + 600


def test_checks_older_than_ten_minutes_are_skipped_and_counted():
    skipped = Counter()
    old, fresh = ServiceCheck("a", 0, STAMP - 601), ServiceCheck("b", 0, STAMP - 600)
    (payload,) = encode_checks([old, fresh], STAMP, ORIGIN, now=STAMP, skipped=skipped)
    assert [item["check"] for item in json.loads(payload.body)] == ["b"]
    assert skipped == {"too_old": 1}
    assert list(encode_checks([old], STAMP, ORIGIN, now=STAMP, skipped=skipped)) == []


def test_many_checks_are_several_requests():
    checks = [ServiceCheck(f"c{i}", 0) for i in range(1100)]
    payloads = list(encode_checks(checks, STAMP, ORIGIN, now=STAMP, skipped=Counter()))
    assert [payload.items for payload in payloads] == [500, 500, 100]


def test_an_event_has_only_the_fields_that_are_set():
    payload = encode_event(Event("deploy", ""), STAMP, Origin("web"))
    assert json.loads(payload.body) == {
        "title": "deploy",
        "text": "",
        "date_happened": STAMP,
        "host": "web",
        "priority": "normal",
        "alert_type": "info",
    }


def test_an_events_texts_are_cut_to_what_the_intake_takes():
    event = Event("t" * 999, "x" * 9999, aggregation_key="k" * 999, timestamp=5)
    document = json.loads(encode_event(event, STAMP, ORIGIN).body)
    lengths = [len(document[key]) for key in ("title", "text", "aggregation_key")]
    assert lengths == [500, 4000, 100]
    assert document["date_happened"] == 5


async def test_events_and_checks_are_what_datadogs_own_client_posts(plain_intake):
    """The `datadog` package is the reference for the fields' names and forms."""
    import asyncio

    import datadog

    event = Event("deploy", "v2", STAMP, "db", "key", "low", "git", "error", (("a", "1"),))
    check = ServiceCheck("db", 1, STAMP, "db", "slow", (("a", "1"),))

    def post():
        datadog.initialize(
            api_key="k" * 32, api_host=plain_intake.url, hostname_from_config=False, mute=False
        )
        datadog.api.Event.create(
            title="deploy",
            text="v2",
            date_happened=STAMP,
            host="db",
            aggregation_key="key",
            priority="low",
            source_type_name="git",
            alert_type="error",
            tags=["a:1"],
        )
        datadog.api.ServiceCheck.check(
            check="db", host_name="db", status=1, timestamp=STAMP, message="slow", tags=["a:1"]
        )

    await asyncio.to_thread(post)
    (event_path, theirs), (check_path, their_check) = plain_intake.accepted
    ours = encode_event(event, 0, Origin("web"))
    assert (ours.path, json.loads(ours.body)) == (event_path, theirs)
    (ours,) = encode_checks([check], 0, Origin("web"), now=STAMP, skipped=Counter())
    assert (ours.path, json.loads(ours.body)) == (check_path, [their_check])

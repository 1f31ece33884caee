"""PyPI's `statsd` and `datadog`, as they are, in the versions that are installed here."""

from __future__ import annotations

from unittest.mock import ANY

import pytest

from vitald.metric import Event, ServiceCheck
from vitald.wire.dialect import Dialect

DOGSTATSD = Dialect(gauge_sign="absolute")

STATSD_LINES = 218
STATSD = {
    "app.jobs": ("counter", 3),
    "app.sampled": ("counter", 30),
    "app.depth": ("gauge", 12),
    "app.balance": ("gauge", -4.5),
    "app.render": ("timer", 3, 1820.25, 0.25, 1500),
    "app.rare": ("timer", 2, 40, 20, 20),
    "app.users": ("set", 2),
    "app.block": ("timer", 1, ANY, ANY, ANY),
    "app.function": ("timer", 1, ANY, ANY, ANY),
    "app.batched": ("counter", 100),
    "app.steps": ("timer", 100, 4950, 0, 99),
}

TAGS = "bare,env=test"
DATADOG_METRICS = {
    f"app.jobs{{{TAGS},queue=mail}}": ("counter", 3),
    f"app.jobs{{{TAGS},queue=web}}": ("counter", 7),
    f"app.depth{{{TAGS}}}": ("gauge", -5),
    f"app.size{{{TAGS}}}": ("histogram", 2, 2048.5, 512, 1536.5),
    f"app.latency{{{TAGS},route=/a/b_c_d,url=http://x:1/}}": ("distribution", 1, 0.25, 0.25, 0.25),
    f"app.render{{{TAGS}}}": ("timer", 1, 320, 320, 320),
    f"app.users{{{TAGS}}}": ("set", 2),
    f"app.block{{{TAGS}}}": ("timer", 1, ANY, ANY, ANY),
    f"app.backfilled{{{TAGS}}}": ("counter", 5),
    f"app.level{{{TAGS}}}": ("gauge", 12.5),
}
DATADOG_SAMPLED = {
    f"app.sampled{{{TAGS}}}": ("counter", 30),
    f"app.rare{{{TAGS}}}": ("histogram", 2, 40, 20, 20),
}
DATADOG_EVENT = Event(
    "deployed: 1.2|3",
    "line one\nline two ünïcode",
    timestamp=1_700_000_000,
    host="build-1",
    aggregation_key="deploys",
    priority="low",
    source_type="ci",
    alert_type="success",
    tags=(("bare", ""), ("env", "test"), ("version", "1.2.3")),
)
DATADOG_CHECK = ServiceCheck(
    "db.up",
    1,
    timestamp=1_700_000_000,
    host="db-1",
    message="slow | very\nslow",
    tags=(("bare", ""), ("db", "main"), ("env", "test")),
)


@pytest.mark.parametrize("scheme", ["udp", "udp6", "tcp", "unix"])
async def test_every_call_of_statsd_arrives(hear, own_python, scheme):
    heard = await hear(own_python("send_statsd.py"), scheme=scheme, lines=STATSD_LINES)
    assert heard.metrics == STATSD


@pytest.mark.parametrize("scheme", ["udp", "unixgram"])
@pytest.mark.parametrize("mode", ["immediate", "buffered", "background"])
async def test_every_call_of_datadog_arrives(hear, own_python, scheme, mode):
    heard = await hear_datadog(hear, own_python, mode, scheme, lines=20)
    assert heard.metrics == {**DATADOG_METRICS, **DATADOG_SAMPLED}
    assert heard.events == [DATADOG_EVENT]
    assert heard.service_checks == [DATADOG_CHECK]
    assert heard.ledger.late == 0


@pytest.mark.parametrize("scheme", ["udp", "unixgram"])
async def test_what_datadog_aggregates_itself_arrives(hear, own_python, scheme):
    heard = await hear_datadog(hear, own_python, "aggregated", scheme, lines=14)
    assert heard.metrics == DATADOG_METRICS


async def test_datadog_and_we_count_the_same(hear, own_python):
    # It reports about itself, in 11 lines, behind each of its 20 datagrams.
    heard = await hear_datadog(hear, own_python, "telemetry", "udp", lines=20 + 20 * 11)
    told = {
        title.partition("{")[0].removeprefix("datadog.dogstatsd.client."): total
        for title, (_, total, *_) in heard.metrics.items()
        if title.startswith("datadog.dogstatsd.client.")
    }
    assert (told["metrics"], told["events"], told["service_checks"]) == (18, 1, 1)
    assert told["packets_dropped"] == told["bytes_dropped"] == 0


async def hear_datadog(hear, own_python, mode, scheme, lines):
    return await hear(
        [*own_python("send_datadog.py"), mode],
        scheme=scheme,
        lines=lines,
        dialect=DOGSTATSD,
        environment={"DD_EXTERNAL_ENV": "it-false,cn-nginx"},
    )

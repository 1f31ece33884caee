"""npm's clients, as they are, in the versions that `npm/package-lock.json` names."""

from __future__ import annotations

import pytest

from vitald.metric import Event, ServiceCheck
from vitald.wire.dialect import Dialect

TELEGRAF = Dialect(tag_formats=frozenset({"influx"}))

HOT_SHOTS = {
    "app.jobs{env=test,queue=mail}": ("counter", 3),
    "app.pages{env=test}": ("counter", 1),
    "app.hits{env=test}": ("counter", 1),
    "app.depth{env=test}": ("gauge", 17),
    "app.render{env=test}": ("timer", 1, 320, 320, 320),
    "app.size{env=test}": ("histogram", 1, 512, 512, 512),
    "app.users{env=test}": ("set", 2),
}
HOT_SHOTS_DATADOG = {
    **HOT_SHOTS,
    "app.latency{env=test}": ("distribution", 1, 0.25, 0.25, 0.25),
}
HOT_SHOTS_SAMPLED = {
    "app.sampled{env=test}": ("counter", 30),
    "app.rare{env=test}": ("timer", 2, 40, 20, 20),
}
HOT_SHOTS_EVENT = Event(
    "app.deployed",
    "all\nof it",
    timestamp=1_700_000_000,
    priority="low",
    alert_type="success",
    tags=(("env", "test"), ("version", "1.2")),
)
HOT_SHOTS_CHECK = ServiceCheck(
    "app.db.up", 2, host="db-1", message="gone", tags=(("db", "main"), ("env", "test"))
)

pytestmark = pytest.mark.server("npm's clients")


@pytest.mark.parametrize("scheme", ["udp", "tcp", "unix"])
async def test_hot_shots(hear, sender, npm, scheme):
    command = [*sender("send_hot_shots.js"), "plain"]
    heard = await hear(command, scheme=scheme, lines=16, environment=npm)
    assert heard.metrics == {**HOT_SHOTS_DATADOG, **HOT_SHOTS_SAMPLED}
    assert heard.events == [HOT_SHOTS_EVENT]
    assert heard.service_checks == [HOT_SHOTS_CHECK]


async def test_hot_shots_packed(hear, sender, npm):
    command = [*sender("send_hot_shots.js"), "packed"]
    heard = await hear(command, lines=14, environment=npm)
    assert heard.metrics == HOT_SHOTS_DATADOG
    assert heard.events == [HOT_SHOTS_EVENT]
    assert heard.service_checks == [HOT_SHOTS_CHECK]
    assert heard.ledger.datagrams_received == 1


async def test_hot_shots_aggregated(hear, sender, npm):
    command = [*sender("send_hot_shots.js"), "aggregated"]
    heard = await hear(command, lines=11, environment=npm)
    assert heard.metrics == HOT_SHOTS_DATADOG


async def test_hot_shots_with_origin_and_timestamp(hear, sender, npm):
    command = [*sender("send_hot_shots.js"), "datadog"]
    # Nine of the lines are what the client tells about itself, in one datagram of its own.
    heard = await hear(command, lines=15 + 9, environment=npm)
    own = {title: facts for title, facts in heard.metrics.items() if title.startswith("app.")}
    told = {
        title.partition("{")[0]: facts
        for title, facts in heard.metrics.items()
        if "metrics_type" not in title
    }
    assert own == {**HOT_SHOTS_DATADOG, "app.level{env=test}": ("gauge", 12.5)}
    assert told["datadog.dogstatsd.client.metrics"] == ("counter", 13)
    assert heard.ledger.late == 0
    assert heard.ledger.notes == {}


async def test_hot_shots_for_telegraf(hear, sender, npm):
    command = [*sender("send_hot_shots.js"), "telegraf"]
    heard = await hear(command, lines=11, dialect=TELEGRAF, environment=npm)
    assert heard.metrics == HOT_SHOTS


async def test_node_statsd(hear, sender, npm):
    heard = await hear(sender("send_node_statsd.js"), lines=10, environment=npm)
    assert heard.metrics == {
        "app.jobs.v1{env=test,queue=mail}": ("counter", 3),
        "app.sampled.v1{env=test}": ("counter", 30),
        "app.depth.v1{env=test}": ("gauge", 17),
        "app.render.v1{env=test}": ("timer", 1, 320, 320, 320),
        "app.rare.v1{env=test}": ("timer", 2, 40, 20, 20),
        "app.size.v1{env=test}": ("histogram", 1, 512, 512, 512),
        "app.users.v1{env=test}": ("set", 2),
    }


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_statsd_client(hear, sender, npm, scheme):
    heard = await hear(sender("send_statsd_client.js"), scheme=scheme, lines=11, environment=npm)
    assert heard.metrics == {
        "app.jobs{env=test,queue=mail}": ("counter", 3),
        "app.child.jobs{env=test}": ("counter", 1),
        "app.depth{env=test}": ("gauge", 19),
        "app.render{env=test}": ("timer", 1, 320, 320, 320),
        "app.size{env=test}": ("histogram", 1, 512, 512, 512),
        "app.latency{env=test}": ("distribution", 1, 0.25, 0.25, 0.25),
        "app.users{env=test}": ("set", 1),
    }

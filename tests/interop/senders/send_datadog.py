"""The `datadog` package's DogStatsD client; the first argument chooses how it sends."""

import sys
import time
from urllib.parse import urlsplit

from datadog.dogstatsd import DogStatsd, base

base.random = lambda: 0.0

MODES = {
    "immediate": {"disable_buffering": True},
    "telemetry": {"disable_buffering": True, "telemetry_min_flush_interval": -1},
    "buffered": {"disable_buffering": False},
    "aggregated": {"disable_buffering": False, "disable_aggregation": False},
    "background": {"disable_buffering": False, "disable_background_sender": False},
}


def connect(target, mode):
    place = urlsplit(target)
    where = (
        # The kernel queues only a few datagrams (net.unix.max_dgram_qlen); wait, do not drop.
        {"socket_path": place.path, "socket_timeout": 5}
        if place.scheme == "unixgram"
        else {"host": place.hostname, "port": place.port}
    )
    return DogStatsd(
        **where,
        **MODES[mode],
        namespace="app",
        constant_tags=["env:test", "bare"],
        container_id="0123456789abcdef",
        cardinality="low",
    )


def send(client):
    client.increment("jobs", tags=["queue:mail"])
    client.increment("jobs", 4, tags=["queue:mail"])
    client.decrement("jobs", 2, tags=["queue:mail"])
    client.count("jobs", 7, tags=["queue:web", "queue:web"])
    client.gauge("depth", 10)
    client.gauge("depth", -5)  # DogStatsD has no deltas: the gauge is -5
    client.histogram("size", 512)
    client.histogram("size", 1536.5)
    client.distribution("latency", 0.25, tags=["route:/a/b?c=d", "url:http://x:1/"])
    client.timing("render", 320)
    client.set("users", "ada")
    client.set("users", "grace:hopper")
    client.set("users", "ada")
    with client.timed("block"):
        pass


def send_sampled(client):
    client.increment("sampled", 3, sample_rate=0.1)
    client.histogram("rare", 20, sample_rate=0.5)


def send_timestamped(client):
    now = int(time.time())
    client.count_with_timestamp("backfilled", 5, timestamp=now)
    client.gauge_with_timestamp("level", 12.5, timestamp=now)


def send_others(client):
    client.event(
        "deployed: 1.2|3",
        "line one\nline two ünïcode",
        alert_type="success",
        aggregation_key="deploys",
        source_type_name="ci",
        date_happened=1_700_000_000,
        priority="low",
        tags=["version:1.2.3"],
        hostname="build-1",
    )
    client.service_check(
        "db.up",
        client.WARNING,
        tags=["db:main"],
        timestamp=1_700_000_000,
        hostname="db-1",
        message="slow | very\nslow",
    )


if __name__ == "__main__":
    client = connect(*sys.argv[2:0:-1])
    send(client)
    if sys.argv[1] != "aggregated":  # it tosses one coin for a whole window
        send_sampled(client)
    send_timestamped(client)
    send_others(client)
    client.flush()
    client.wait_for_pending()
    client.stop()

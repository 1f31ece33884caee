"""Every way there is to record something with a client."""

from __future__ import annotations

from datetime import timedelta


def record_everything(client):
    """Call every verb and every handle of a client once, or a few times."""
    client.incr("jobs", 2, tags={"queue": "mail"})
    client.incr("jobs", tags=["queue:sms", "bare"])
    client.incr("jobs", 4, timestamp=1_700_002_800)
    client.decr("jobs")
    client.gauge("depth", 7)
    client.gauge("depth", -2, delta=True)
    client.gauge("balance", -5)
    client.timing("render", 12.5)
    client.timing("render", timedelta(milliseconds=3))
    client.histogram("size", 3)
    client.distribution("wait_seconds", 0.25)
    client.set("users", "alice")
    client.event("deploy", "v2\nis out", alert_type="success", tags={"env": "live"})
    client.service_check("db", 2, message="no answer")
    client.counter("tasks", queue="mail").inc()
    client.counter("tasks", queue="mail").dec(3)
    client.gauge("level").set(3)
    client.gauge("level").inc()
    client.gauge("level").dec(2)
    client.timer("fetch").record(9)
    client.histogram("bytes").record(1)
    client.distribution("seconds").record(2)
    client.set("members").add(b"bob")

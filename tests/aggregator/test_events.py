from __future__ import annotations

import pytest

from vitald.aggregator import events
from vitald.aggregator.events import EventLog
from vitald.checks.state import Transition
from vitald.metric import Event, ServiceCheck
from vitald.status import Status


@pytest.fixture
def log(clock):
    return EventLog(clock, limit=3)


def titles(log, limit=None):
    return [document["title"] for document in log.documents(limit)]


def test_events_come_newest_first_whoever_sent_them(log):
    log.add_event(Event("first", ""))
    log.add("sidecar", "second")
    log.add_service_check(ServiceCheck("third", 0))
    assert titles(log) == ["third", "second", "first"]
    assert titles(log, 2) == ["third", "second"]


def test_a_flood_of_received_events_pushes_out_none_of_our_own(log):
    log.add("sidecar", "started")
    for number in range(100):
        log.add_event(Event(f"e{number}", ""))
    assert titles(log) == ["e99", "e98", "e97", "started"]
    assert (log.received, log.own) == (100, 1)


def test_an_event_keeps_all_that_its_sender_said(log):
    event = Event(
        "deploy",
        "v7",
        timestamp=1_600_000_000,
        host="db1",
        aggregation_key="k",
        priority="low",
        source_type="ci",
        alert_type="error",
        tags=(("env", "prod"),),
    )
    log.add_event(event)
    assert log.documents() == [
        {
            "number": 1,
            "time": "2020-09-13T12:26:40.000Z",
            "kind": "event",
            "title": "deploy",
            "text": "v7",
            "tags": {"env": "prod"},
            "host": "db1",
            "alert_type": "error",
            "priority": "low",
            "aggregation_key": "k",
            "source_type": "ci",
        }
    ]


def test_a_service_check_shows_its_status_as_word_and_number(log):
    log.add_service_check(ServiceCheck("can_connect", 2, message="refused"))
    document = log.documents()[0]
    assert document["kind"] == "service_check"
    assert (document["status"], document["code"]) == ("critical", 2)
    assert document["text"] == "refused"


@pytest.mark.parametrize("timestamp", [None, 10**400, 10**15])
def test_a_time_that_no_calendar_holds_is_the_time_of_arrival(log, timestamp):
    log.add_event(Event("e", "", timestamp=timestamp))
    assert log.documents()[0]["time"] == "2023-11-14T22:13:20.000Z"


def test_no_received_text_grows_without_bound(log):
    long = "x" * 65_000
    log.add_event(Event(long, long, host=long, aggregation_key=long, source_type=long))
    document = log.documents()[0]
    assert len(document["title"]) == len(document["host"]) == events.MAX_TITLE
    assert len(document["text"]) == events.MAX_TEXT
    assert sum(len(str(value)) for value in document.values()) < 6000


def test_a_transition_names_both_statuses_and_the_reason(log):
    log.add_transition("db", Transition(None, Status.HEALTHY, "ok", 1.0))
    log.add_transition(
        "db", Transition(Status.HEALTHY, Status.CRITICAL, "refused", 2.0, flapping=True)
    )
    newest, first = log.documents()
    assert first["title"] == "db: pending -> healthy"
    assert newest["title"] == "db: healthy -> critical"
    assert newest["text"] == "refused"
    assert (newest["kind"], newest["tags"], newest["code"]) == ("transition", {"check": "db"}, 2)
    assert newest["flags"] == ["flapping"]


async def test_an_interval_brings_its_events_and_service_checks(world):
    await world.seal("_e{2,2}:up|ok|#env:prod", "_sc|db|1", "jobs:1|c")
    assert titles(world.events) == ["db", "up"]

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from vitald.aggregator import telemetry
from vitald.aggregator.claims import Totals
from vitald.aggregator.exposition import Exposition
from vitald.aggregator.interval import Ledger
from vitald.status import Status

DOCUMENT = Path(__file__).parents[2] / "docs" / "self-telemetry.md"

FORWARDER = {
    "name": "graphite",
    "type": "graphite",
    "submitted": 9,
    "sent": 7,
    "retried": 2,
    "queued": 1,
    "dropped": {"expired": 1},
    "consecutive_failures": 0,
    "last_error": "refused",
}


def page(make_report, **changed):
    snapshot = telemetry.Snapshot(
        version="1.2.3",
        engine="python",
        uptime=12.5,
        ledger=Ledger(lines=10, aggregated=7, rejected={"bad_value": 2}, shed={"too_many": 1}),
        reports=[make_report("db", Status.CRITICAL, "database")],
        forwarders=[FORWARDER],
        exposition=Exposition(),
        clients=Totals(clients=2, claimed=80, received=77, lost=3),
    )
    return telemetry.telemetry(snapshot._replace(**changed))


def samples_of(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_sidecars_own_numbers_are_on_the_page(make_report):
    found = samples_of(page(make_report))
    who = (("forwarder", "graphite"), ("type", "graphite"))
    assert found["vitald_build_info", (("engine", "python"), ("version", "1.2.3"))] == 1
    assert found["vitald_uptime_seconds", ()] == 12.5
    assert found["vitald_lines_total", ()] == 10
    assert found["vitald_lines_rejected_total", (("reason", "bad_value"),)] == 2
    assert found["vitald_lines_shed_total", (("reason", "too_many"),)] == 1
    assert found["vitald_clients_received_samples_total", ()] == 77
    assert found["vitald_clients_lost_samples_total", ()] == 3
    assert found["vitald_check_status", (("check", "db"), ("type", "database"))] == 2
    assert found["vitald_forwarder_sent_total", who] == 7
    dropped = (("forwarder", "graphite"), ("reason", "expired"), ("type", "graphite"))
    assert found["vitald_forwarder_dropped_total", dropped] == 1


def test_every_name_on_the_page_is_reserved_so_that_no_sender_can_take_it(make_report):
    text = page(make_report)
    assert set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) == telemetry.NAMES


def test_without_checks_and_forwarders_their_families_are_absent(make_report):
    text = page(make_report, reports=[], forwarders=[])
    assert "check_status" not in text
    assert "forwarder" not in text


def test_a_forwarder_with_other_statistics_is_shown_as_far_as_they_go(make_report):
    found = samples_of(page(make_report, forwarders=[{"name": "own", "sent": 3, "queued": "?"}]))
    assert found["vitald_forwarder_sent_total", (("forwarder", "own"),)] == 3
    assert not [name for name, _ in found if name == "vitald_forwarder_queued"]


def test_every_family_is_documented():
    text = DOCUMENT.read_text(encoding="utf-8")

    def is_documented(name):
        return f"`{name}" in text or f"`…{name.removeprefix('vitald_forwarder')}" in text

    assert {name for name in telemetry.NAMES if not is_documented(name)} == set()

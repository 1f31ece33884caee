from __future__ import annotations

import pytest

from vitald.aggregator import probes
from vitald.status import Status


def test_alive_while_intervals_are_sealed():
    assert probes.alive(30.0, 10.0) == (True, {"status": "pass"})


def test_not_alive_when_three_intervals_passed_without_a_seal():
    is_alive, document = probes.alive(36.0, 10.0)
    assert not is_alive
    assert document["output"] == "no interval was sealed for 36 s"


def test_ready_when_nothing_is_missing_whatever_optional_checks_say(make_report):
    reports = [make_report("disk", Status.CRITICAL), make_report("new", flags=("pending",))]
    assert probes.ready([], reports, set()) == (True, {"status": "pass"})


@pytest.mark.parametrize(
    ("status", "flags", "is_ready"),
    [
        (Status.HEALTHY, (), True),
        (Status.WARNING, (), True),
        (Status.UNKNOWN, ("stale",), True),
        (Status.UNKNOWN, ("pending",), False),
        (Status.CRITICAL, (), False),
    ],
)
def test_a_required_check_must_have_run_and_not_be_critical(make_report, status, flags, is_ready):
    reports = [make_report("db", status, flags=flags)]
    assert probes.ready([], reports, {"db"})[0] is is_ready


def test_not_ready_names_every_reason(make_report):
    reports = [make_report("db", Status.CRITICAL, label="unhealthy", message="refused")]
    _, document = probes.ready(["udp://127.0.0.1:8125 is not bound"], reports, {"db", "gone"})
    assert document["reasons"] == [
        "udp://127.0.0.1:8125 is not bound",
        "check db is unhealthy: refused",
        "check gone has not run yet",
    ]


@pytest.mark.parametrize(
    ("statuses", "word", "is_good"),
    [
        ([], "pass", True),
        ([Status.HEALTHY], "pass", True),
        ([Status.HEALTHY, Status.WARNING], "warn", True),
        ([Status.UNKNOWN, Status.WARNING], "warn", True),
        ([Status.CRITICAL, Status.UNKNOWN], "fail", False),
    ],
)
def test_healthy_is_in_the_words_of_the_draft(make_report, statuses, word, is_good):
    reports = [make_report(f"c{at}", status) for at, status in enumerate(statuses)]
    good, document = probes.healthy(reports, host="web1", version="1.2.3")
    assert (good, document["status"]) == (is_good, word)


def test_healthy_leaves_the_output_out_where_a_check_passes(make_report):
    reports = [make_report("a"), make_report("b", Status.WARNING, message="81 % used")]
    _, document = probes.healthy(reports, host="web1", version="1.2.3")
    (passing,), (warning,) = document["checks"].values()
    assert "output" not in passing
    assert warning["output"] == "81 % used"
    assert list(document["checks"]) == ["a:responseTime", "b:responseTime"]
    assert (passing["observedValue"], passing["observedUnit"]) == (0.25, "s")

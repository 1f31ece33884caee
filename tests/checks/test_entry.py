from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.base import Observation, Result
from vitald.checks.entry import Entry
from vitald.checks.outcome import Outcome, gave_up
from vitald.checks.spec import CheckSpec
from vitald.clock import Instant
from vitald.status import Status


class StandingRunner:
    def __init__(self, *, hung=False):
        self.hung = hung


def entry(interval=30.0, name="main", **more):
    spec = CheckSpec(name, "sample", "m:C", interval=interval, timeout=interval / 2, **more)
    return Entry(spec, StandingRunner())


def at(seconds):
    return Instant(1_700_000_000.0 + seconds, 5000.0 + seconds)


intervals = st.floats(0.5, 86400.0)
moments = st.floats(0.0, 1e7)


@given(intervals, moments, st.text(min_size=1, max_size=8))
def test_the_first_run_is_within_the_spread_and_the_next_half_an_interval_later(
    interval, now, name
):
    checked = entry(interval, name)
    checked.start(now, 1.0)
    first = checked.due
    assert now <= first <= now + 1.0
    checked.next_slot(first, 0.0)
    assert interval / 2 <= (checked.due - first) + 1e-6
    assert checked.due - first <= interval * 1.5 + 1e-6
    assert checked.counters.missed == 0


@given(intervals, moments, st.lists(st.floats(0.0, 10.0), min_size=1, max_size=30))
def test_slots_stay_on_the_grid_and_each_one_gone_by_is_counted(interval, now, delays):
    checked = entry(interval)
    checked.start(now, 1.0)
    checked.next_slot(checked.due, 0.0)
    first, used = checked.slot, 0
    for delay in delays:
        late = checked.due + delay * interval
        checked.next_slot(late, 0.0)
        used += 1
        assert checked.due > late
        assert checked.due - late <= interval * (1 + 1e-6)
    gone_by = (checked.slot - first) / interval
    assert gone_by == pytest.approx(round(gone_by), abs=1e-3)
    assert used + checked.counters.missed == round(gone_by)
    on_grid = math.remainder(checked.slot - checked.spec.phase, interval)
    assert on_grid == pytest.approx(0.0, abs=1e-3)


def test_jitter_moves_the_run_and_not_the_slot():
    checked = entry()
    checked.start(0.0, 1.0)
    checked.next_slot(checked.due, 0.7)
    assert checked.due - checked.slot == pytest.approx(0.7)


def test_a_report_hides_numbers_that_are_no_longer_true():
    checked = entry()
    seen = Result(Status.HEALTHY, "fine", (Observation("pages", 5.0, (("tray", "a"),)),))
    checked.finish(Outcome(seen, 0.2), at(0))
    assert checked.report(at(1)).observations == {"pages{tray=a}": 5.0}
    checked.expire(at(1000))
    report = checked.report(at(1000))
    assert report.observations == {"pages{tray=a}": None}
    assert report.message == "no result for 1000 s; before: fine"
    assert report.raw == seen


def test_flapping_is_a_flag_and_does_not_count_along_in_the_message():
    checked = entry()
    for second in range(21):
        raw = Status.CRITICAL if second % 2 else Status.HEALTHY
        checked.finish(Outcome(Result(raw, raw.word), 0.1), at(second))
    report = checked.report(at(21))
    assert report.flags == ("flapping",)
    assert report.message == "healthy"


def test_a_run_that_was_given_up_is_counted_and_flagged_while_it_hangs():
    checked = entry()
    checked.finish(gave_up(5.0, 5.0), at(5))
    checked.runner.hung = True
    report = checked.report(at(6))
    assert (report.counters.timed_out, report.flags) == (1, ("hung",))
    checked.block(at(35))
    assert checked.report(at(35)).message == "the run that timed out still hangs after 30 s"


def test_numbers_enter_the_engine_with_the_checks_name_unless_they_are_the_machines():
    numbers = (Observation("pages", 1.0, (("tray", "a"),)),)
    named, wide = entry(name="printer"), entry(name="printer", machine_wide=True)
    for checked in (named, wide):
        checked.finish(Outcome(Result(Status.HEALTHY, "x", numbers), 0.1), at(0))
    assert named.observations() == [
        Observation("pages", 1.0, (("check", "printer"), ("tray", "a")))
    ]
    assert wide.observations() == list(numbers)
    assert wide.status_observation().tags == (("check", "printer"),)


def test_a_run_without_numbers_shows_those_of_before_as_unavailable():
    checked = entry()
    found = (Observation("docker_containers_running", 3.0),)
    checked.finish(Outcome(Result(Status.HEALTHY, "fine", found), 0.1), at(0))
    checked.finish(gave_up(5.0, 5.0), at(30))
    assert [(each.name, each.value) for each in checked.observations()] == [
        ("docker_containers_running", None)
    ]
    checked.block(at(60))
    assert [each.value for each in checked.observations()] == [None]

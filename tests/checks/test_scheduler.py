from __future__ import annotations

import asyncio
import logging
import random
import threading

import pytest
from check_bench import BAD, GOOD, Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitald.checks.base import Observation, Result
from vitald.errors import ConfigError
from vitald.status import Status


async def test_before_its_first_run_a_check_is_pending(bench):
    bench.make(bench.spec("a")).start()
    report = bench.report("a")
    assert (report.status, report.label, report.flags) == (Status.UNKNOWN, "unknown", ("pending",))
    assert (report.message, report.last_run, report.since) == ("has not run yet", None, None)
    assert bench.emitted == []


async def test_every_check_has_its_first_result_within_a_second_of_the_start(bench):
    await bench.begin(*(bench.spec(f"c{n}", interval=3600.0) for n in range(20)))
    assert [report.flags for report in bench.scheduler.reports()] == [()] * 20
    assert len({starts[0] for starts in bench.starts.values()}) > 10, "they start spread out"


async def test_after_the_first_run_slots_lie_on_the_checks_own_grid(bench):
    spec = bench.spec("a", interval=30.0)
    await bench.begin(spec)
    await bench.time.advance(300)
    first, *rest = bench.starts["a"]
    assert len(rest) in (9, 10)
    assert all(start % 30.0 == pytest.approx(spec.phase) for start in rest)
    assert 15.0 <= rest[0] - first < 45.0


async def test_slots_do_not_drift_over_a_day(bench):
    spec = bench.spec("a", interval=7.3)
    await bench.begin(spec)
    await bench.time.advance(20_000)
    last = bench.starts["a"][-1]
    assert last % 7.3 == pytest.approx(spec.phase, abs=1e-6)


async def test_jitter_moves_runs_back_by_a_twentieth_of_the_interval_at_most(bench):
    spec = bench.spec("a", interval=10.0)
    await bench.begin(spec, jitter=random.Random(1).random)
    await bench.time.advance(500)
    offsets = [start % 10.0 - spec.phase for start in bench.starts["a"][1:]]
    assert all(0 <= offset <= 0.5 for offset in offsets)
    assert len({round(offset, 6) for offset in offsets}) > 10
    assert bench.report("a").counters.missed == 0


async def test_jitter_never_exceeds_a_second(bench):
    spec = bench.spec("a", interval=3600.0)
    await bench.begin(spec, jitter=lambda: 1.0)
    await bench.time.advance(36_000)
    assert all(start % 3600.0 - spec.phase == pytest.approx(1.0) for start in bench.starts["a"][1:])


async def test_a_run_that_outlasts_its_interval_is_never_joined_by_a_second(bench):
    bench.script("a").gate = asyncio.Event()
    # Real time does not pass here, so the timeout does not end the run: only slots go by.
    await bench.begin(bench.spec("a", interval=10.0))
    await bench.time.advance(35)
    assert bench.script("a").runs == 1
    assert bench.report("a").counters.missed in (3, 4)
    bench.script("a").gate.set()
    await bench.time.advance(10)
    assert bench.script("a").most_at_once == 1
    assert bench.script("a").runs == 2


async def test_what_a_check_finds_is_emitted_with_its_status_and_duration(bench):
    found = Result(
        Status.WARNING, "getting full", (Observation("pages", 7.0), Observation("gone", None))
    )
    bench.script("a").results = [found]
    await bench.begin(bench.spec("a"))
    assert bench.emitted == [
        Observation("pages", 7.0, (("check", "a"),)),
        Observation("gone", None, (("check", "a"),)),
        Observation("sample_status", 1.0, (("check", "a"),)),
    ]
    ((name, seconds),) = bench.durations
    assert name == "a"
    assert 0 <= seconds < 5
    report = bench.report("a")
    assert report.observations == {"pages": 7.0, "gone": None}
    assert report.raw == found
    assert report.duration_seconds == seconds
    assert report.last_run == report.since == bench.transitions[0][1].at


async def test_numbers_of_the_whole_machine_are_not_tagged_with_the_check(bench):
    bench.script("a").results = [Result(Status.HEALTHY, "x", (Observation("load", 1.0),))]
    await bench.begin(bench.spec("a", machine_wide=True, status_metric="load_status"))
    assert bench.emitted == [
        Observation("load", 1.0),
        Observation("load_status", 0.0, (("check", "a"),)),
    ]


async def test_a_check_tag_that_is_there_already_is_left_alone(bench):
    tagged = Observation("pages", 1.0, (("check", "other"),))
    bench.script("a").results = [Result(Status.HEALTHY, "x", (tagged,))]
    await bench.begin(bench.spec("a"))
    assert bench.emitted[0] == tagged


async def test_thresholds_of_the_state_machine_apply_and_the_message_counts_along(bench):
    bench.script("a").results = [GOOD, BAD, BAD, BAD, GOOD, GOOD]
    await bench.begin(bench.spec("a", interval=10.0, timeout=5.0))
    seen = []
    for _ in range(6):
        report = bench.report("a")
        seen.append((report.status.word, report.message))
        await bench.pass_slots("a")
    assert seen == [
        ("healthy", "good"),
        ("healthy", "bad (1 of 3 in a row)"),
        ("healthy", "bad (2 of 3 in a row)"),
        ("critical", "bad"),
        ("critical", "good (1 of 2 in a row)"),
        ("healthy", "good"),
    ]
    assert [(name, t.before, t.after) for name, t in bench.transitions] == [
        ("a", None, Status.HEALTHY),
        ("a", Status.HEALTHY, Status.CRITICAL),
        ("a", Status.CRITICAL, Status.HEALTHY),
    ]
    assert bench.statuses("a")[:6] == [0, 0, 0, 2, 2, 0]


async def test_connectivity_checks_are_healthy_or_unhealthy(bench):
    bench.script("a").results = [BAD]
    bench.script("b").results = [BAD]
    await bench.begin(bench.spec("a", connectivity=True), bench.spec("b"))
    assert [(r.label, r.status) for r in bench.scheduler.reports()] == [
        ("unhealthy", Status.CRITICAL),
        ("critical", Status.CRITICAL),
    ]


async def test_reports_keep_the_order_of_the_configuration(bench):
    await bench.begin(*(bench.spec(name) for name in "zebra"))
    assert [report.name for report in bench.scheduler.reports()] == list("zebra")


async def test_a_fault_in_the_listeners_stops_no_check(bench, caplog):
    def broken(*_):
        raise RuntimeError("the engine is gone")

    scheduler = bench.make(bench.spec("a", interval=10.0))
    scheduler._emit = scheduler._on_transition = broken
    scheduler.start()
    with caplog.at_level(logging.CRITICAL):
        await bench.time.advance(25)
    assert bench.script("a").runs >= 2


# --- dependencies ---------------------------------------------------------------------------


async def test_a_check_runs_after_the_first_result_of_what_it_depends_on(bench):
    bench.script("network").gate = asyncio.Event()
    await bench.begin(bench.spec("db", depends_on=("network",)), bench.spec("network"))
    await bench.time.advance(5)
    assert bench.script("db").runs == 0
    bench.script("network").gate.set()
    await bench.time.advance(0.5)
    assert bench.script("db").runs == 1
    assert bench.report("db").flags == ()


async def test_while_its_parent_fails_a_check_is_not_run_and_says_why(bench):
    bench.script("network").results = [BAD]
    await bench.begin(bench.spec("db", depends_on=("network",)), bench.spec("network"))
    await bench.time.advance(100)
    report = bench.report("db")
    assert bench.script("db").runs == 0
    assert report.flags == ("pending", "dep")
    assert report.message == "not run: it depends on network, which fails"
    assert report.counters.withheld >= 3
    assert set(bench.statuses("db")) == {3}
    assert [name for name, _ in bench.transitions] == ["network"]


async def test_a_parents_first_failures_hold_the_child_and_keep_its_status(bench):
    network = bench.script("network")
    await bench.begin(
        bench.spec("network", interval=10.0),
        bench.spec("db", interval=10.0, depends_on=("network",)),
    )
    network.results = [BAD]
    await bench.pass_slots("network")
    await bench.pass_slots("db")
    db = bench.report("db")
    assert bench.report("network").status is Status.HEALTHY
    assert (db.status, db.flags) == (Status.HEALTHY, ("dep",))
    await bench.time.advance(30)
    db = bench.report("db")
    assert bench.report("network").status is Status.CRITICAL
    assert (db.status, db.flags) == (Status.UNKNOWN, ("dep",))
    network.results = [GOOD]
    await bench.time.advance(20)
    db = bench.report("db")
    assert (db.status, db.flags) == (Status.HEALTHY, ())
    assert {name for name, t in bench.transitions if t.before is not None} == {"network"}


async def test_a_failure_withholds_the_whole_chain_below_it(bench):
    bench.script("a").results = [BAD]
    await bench.begin(
        bench.spec("c", depends_on=("b",)), bench.spec("b", depends_on=("a",)), bench.spec("a")
    )
    await bench.time.advance(100)
    assert [bench.script(name).runs for name in "bc"] == [0, 0]
    assert bench.report("c").message == "not run: it depends on b, which fails"


async def test_cycles_and_unknown_parents_are_refused_all_at_once(bench):
    specs = [
        bench.spec("a", depends_on=("b",)),
        bench.spec("b", depends_on=("a",)),
        bench.spec("c", depends_on=("nothing",)),
    ]
    with pytest.raises(ConfigError) as refused:
        bench.make(*specs)
    assert refused.value.faults == [
        "cannot schedule check c: it depends on nothing, which is not configured",
        "cannot schedule checks: they depend on each other in a circle: a -> b -> a",
    ]


# --- time that behaves badly ----------------------------------------------------------------


async def test_after_a_pause_each_check_runs_once_and_the_lost_slots_are_counted(bench):
    await bench.begin(bench.spec("a", interval=10.0), bench.spec("b", interval=60.0))
    await bench.pass_slots("a", 5)
    runs = bench.script("a").runs
    bench.time.jump(600)
    await bench.time.advance(0)
    assert bench.script("a").runs == runs + 1
    assert bench.report("a").counters.missed in (58, 59, 60)
    await bench.time.advance(30)
    assert bench.script("a").runs == runs + 4


async def test_a_suspend_that_the_monotonic_clock_did_not_see_is_caught_up_with(bench):
    await bench.begin(bench.spec("slow", interval=3600.0), bench.spec("quick", interval=10.0))
    assert bench.script("slow").runs == 1
    bench.time.wall += 8 * 3600
    await bench.time.advance(12)
    assert bench.script("slow").runs == 2
    await bench.time.advance(60)
    assert bench.script("slow").runs == 2


async def test_a_clock_that_is_set_back_moves_no_slot(bench):
    await bench.begin(bench.spec("a", interval=10.0))
    await bench.pass_slots("a")
    runs = bench.script("a").runs
    bench.time.wall -= 8 * 3600
    await bench.time.advance(50)
    assert bench.script("a").runs == runs + 5


async def test_a_check_without_results_is_stale(bench):
    await bench.begin(bench.spec("a", interval=10.0))
    bench.script("a").gate = asyncio.Event()
    await bench.time.advance(60)
    report = bench.report("a")
    assert (report.status, report.flags) == (Status.UNKNOWN, ("stale",))
    assert report.message.startswith("no result for ")
    assert report.message.endswith(" s; before: fine")
    assert bench.transitions[-1][1].stale
    assert bench.statuses("a")[-1] == 3
    bench.script("a").gate.set()
    await bench.time.advance(0)
    assert (bench.report("a").status, bench.report("a").flags) == (Status.HEALTHY, ())
    assert bench.transitions[-1][1].before is Status.UNKNOWN


# --- runs that cannot be ended --------------------------------------------------------------


async def test_a_hung_run_blocks_the_next_slots_and_counts_as_their_failure(bench, wait_until):
    spec = bench.spec(
        "nfs", timeout=0.05, factory="sample_checks:HangsInThread", options={}, isolation="thread"
    )
    await bench.begin(spec)
    await wait_until(lambda: bench.report("nfs").counters.timed_out == 1)
    report = bench.report("nfs")
    assert (report.status, report.flags) == (Status.CRITICAL, ("hung",))
    assert report.message == "timed out after 0.05 s"
    await bench.pass_slots("nfs", 3)
    report = bench.report("nfs")
    assert report.flags == ("hung",)
    assert report.message.startswith("the run that timed out still hangs after ")
    assert (report.counters.runs, report.counters.blocked) == (1, 3)
    threads = [t for t in threading.enumerate() if t.name.startswith("check-sample")]
    assert len(threads) == 1
    bench.samples.HELD.set()
    await wait_until(lambda: "hung" not in bench.report("nfs").flags)
    await bench.pass_slots("nfs")
    await wait_until(lambda: bench.report("nfs").counters.runs == 2)
    await wait_until(lambda: bench.report("nfs").raw.status is Status.HEALTHY)


async def test_hanging_becomes_critical_even_when_three_failures_are_needed(bench, wait_until):
    spec = bench.spec(
        "nfs", timeout=0.05, factory="sample_checks:HangsInThread", options={}, isolation="thread"
    )
    bench.samples.HELD.set()
    await bench.begin(spec)
    await wait_until(lambda: bench.report("nfs").status is Status.HEALTHY)
    bench.samples.HELD.clear()
    await bench.pass_slots("nfs")
    await wait_until(lambda: bench.report("nfs").counters.timed_out == 1)
    assert bench.report("nfs").status is Status.HEALTHY
    await bench.pass_slots("nfs", 2)
    assert bench.report("nfs").status is Status.CRITICAL


async def test_stopping_names_the_coroutine_that_refuses_to_end(bench, tmp_path, wait_until):
    release = tmp_path / "release"
    spec = bench.spec(
        "stubborn",
        timeout=0.05,
        factory="sample_checks:RefusesCancellation",
        options={"release": release},
    )
    await bench.begin(spec, bench.spec("good"))
    await wait_until(lambda: bench.report("stubborn").counters.timed_out == 1)
    assert await bench.scheduler.stop() == ["stubborn"]
    release.touch()
    await wait_until(lambda: not bench.scheduler.reports()[0].flags)


# --- the laws, in any order of events ------------------------------------------------------------


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    intervals=st.lists(st.floats(1.0, 60.0), min_size=1, max_size=5),
    events=st.lists(
        st.one_of(
            st.floats(0.0, 90.0),
            st.tuples(st.just("jump"), st.floats(0.0, 500.0)),
            st.tuples(st.just("hold"), st.integers(0, 4)),
            st.tuples(st.just("free"), st.integers(0, 4)),
            st.tuples(st.just("now"), st.integers(0, 4)),
        ),
        max_size=20,
    ),
)
def test_runs_never_overlap_and_every_slot_is_accounted_for(samples, fake_time, intervals, events):
    samples.SCRIPTS.clear()
    asyncio.run(_live_through(Bench(samples, type(fake_time)()), intervals, events))


async def _live_through(bench, intervals, events):
    specs = [
        bench.spec(f"c{n}", interval=interval, timeout=interval / 2)
        for n, interval in enumerate(intervals)
    ]
    await bench.begin(*specs)
    asked = []
    began = bench.time.monotonic
    manual = dict.fromkeys((spec.name for spec in specs), 0)
    for event in events:
        if isinstance(event, float):
            await bench.time.advance(event)
            continue
        what, value = event
        if what == "jump":
            bench.time.jump(value)
            continue
        name = f"c{value % len(specs)}"
        gate = bench.script(name).gate
        if what == "hold" and (gate is None or gate.is_set()):
            bench.script(name).gate = asyncio.Event()
        elif what == "free" and gate is not None:
            gate.set()
        elif what == "now":
            manual[name] += 1
            asked.append(asyncio.create_task(bench.scheduler.run_now(name)))
    await bench.time.advance(0)
    for spec in specs:
        script, counters = bench.script(spec.name), bench.report(spec.name).counters
        assert script.most_at_once <= 1
        slots = (bench.time.monotonic - began) / spec.interval
        used = counters.runs + counters.missed
        assert slots - 2 <= used <= slots + 2 + manual[spec.name]
        if script.gate is not None:
            script.gate.set()
    await bench.time.advance(0)
    await asyncio.gather(*asked)
    assert await bench.scheduler.stop() == []

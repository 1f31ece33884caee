"""Runs on demand, reloads and the end."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from check_bench import BAD

from vitald.checks.scheduler import FIRST_RUNS_WITHIN, Scheduler
from vitald.checks.spec import CheckSpec
from vitald.clock import SystemClock
from vitald.errors import ConfigError, UsageError
from vitald.status import Status


async def test_run_now_runs_at_once_and_its_result_counts(bench):
    await bench.begin(bench.spec("a", interval=3600.0))
    bench.script("a").results = [BAD]
    reports = [await bench.scheduler.run_now("a") for _ in range(3)]
    assert [report.raw.status for report in reports] == [Status.CRITICAL] * 3
    assert [report.status for report in reports] == [
        Status.HEALTHY,
        Status.HEALTHY,
        Status.CRITICAL,
    ]
    assert bench.statuses("a") == [0, 0, 0, 2]


async def test_run_now_joins_a_run_that_is_under_way(bench):
    bench.script("a").gate = asyncio.Event()
    await bench.begin(bench.spec("a"))
    asked = [asyncio.create_task(bench.scheduler.run_now("a")) for _ in range(3)]
    await bench.time.advance(0)
    bench.script("a").gate.set()
    reports = await asyncio.gather(*asked)
    assert [report.counters.runs for report in reports] == [1, 1, 1]
    assert bench.script("a").most_at_once == 1


async def test_giving_up_on_run_now_does_not_end_the_run(bench):
    bench.script("a").gate = asyncio.Event()
    await bench.begin(bench.spec("a"))
    asked = asyncio.create_task(bench.scheduler.run_now("a"))
    await bench.time.advance(0)
    asked.cancel()
    await bench.time.advance(0)
    bench.script("a").gate.set()
    await bench.time.advance(0)
    assert bench.report("a").status is Status.HEALTHY


async def test_run_now_runs_a_withheld_check(bench):
    bench.script("network").results = [BAD]
    await bench.begin(bench.spec("network"), bench.spec("db", depends_on=("network",)))
    await bench.time.advance(60)
    report = await bench.scheduler.run_now("db")
    assert (report.status, report.flags, report.counters.runs) == (Status.HEALTHY, (), 1)


async def test_run_now_of_a_hung_check_tells_so_at_once(bench, wait_until):
    spec = bench.spec(
        "nfs", timeout=0.05, factory="sample_checks:HangsInThread", options={}, isolation="thread"
    )
    await bench.begin(spec)
    await wait_until(lambda: bench.report("nfs").counters.timed_out == 1)
    report = await bench.scheduler.run_now("nfs")
    assert report.message == "the run that timed out still hangs after 0 s"
    assert report.counters.runs == 1


async def test_run_now_of_an_unknown_check_is_a_usage_error(bench):
    await bench.begin(bench.spec("a"))
    with pytest.raises(UsageError, match="cannot run check b: there is no check of this name"):
        await bench.scheduler.run_now("b")


async def test_a_reload_keeps_what_is_unchanged_and_begins_what_is_new(bench):
    kept, changed, removed = (bench.spec(name) for name in ("kept", "changed", "removed"))
    await bench.begin(kept, changed, removed)
    before = bench.report("kept")
    altered = bench.spec("changed", interval=60.0)
    names = await bench.scheduler.apply([bench.spec("new"), altered, kept])
    assert names == ["changed", "new", "removed"]
    assert [report.name for report in bench.scheduler.reports()] == ["new", "changed", "kept"]
    assert bench.report("kept") == before
    assert bench.report("changed").flags == ("pending",)
    await bench.time.advance(FIRST_RUNS_WITHIN)
    assert [bench.script(name).runs for name in ("kept", "changed", "removed", "new")] == [
        1,
        2,
        1,
        1,
    ]
    await bench.time.advance(100)
    assert bench.script("removed").runs == 1


async def test_a_reload_with_the_same_checks_changes_nothing(bench):
    specs = [bench.spec("a"), bench.spec("b")]
    await bench.begin(*specs)
    assert await bench.scheduler.apply([bench.spec("a"), bench.spec("b")]) == []
    await bench.time.advance(FIRST_RUNS_WITHIN)
    assert [bench.script(name).runs for name in "ab"] == [1, 1]


async def test_a_reload_that_cannot_work_changes_nothing(bench):
    await bench.begin(bench.spec("a"))
    with pytest.raises(ConfigError):
        await bench.scheduler.apply([bench.spec("a", depends_on=("a",))])
    assert [report.name for report in bench.scheduler.reports()] == ["a"]
    await bench.time.advance(30)
    assert bench.script("a").runs == 2


async def test_a_removed_check_that_is_running_tells_nothing_any_more(bench):
    bench.script("a").gate = asyncio.Event()
    await bench.begin(bench.spec("a"))
    await bench.scheduler.apply([])
    bench.script("a").gate.set()
    await bench.time.advance(10)
    assert (bench.emitted, bench.transitions, bench.scheduler.reports()) == ([], [], [])


async def test_a_scheduler_without_checks_waits_for_some(bench):
    await bench.begin()
    await bench.time.advance(100)
    await bench.scheduler.apply([bench.spec("a")])
    await bench.time.advance(FIRST_RUNS_WITHIN)
    assert bench.script("a").runs == 1


async def test_stopping_ends_workers_threads_and_tasks(samples):
    here = {"factory": "sample_checks:CountsItsRuns"}
    specs = [
        CheckSpec("p", "process", isolation="process", **here),
        CheckSpec("t", "thread", isolation="thread", **here),
        CheckSpec("l", "loop", isolation="loop", **here),
    ]
    before = set(threading.enumerate())
    scheduler = Scheduler(
        specs, clock=SystemClock(), emit=lambda *_: None, on_transition=lambda *_: None
    )
    scheduler.start()
    reports = [await scheduler.run_now(spec.name) for spec in specs]
    pids = [int(report.raw.message.split(" in ")[1]) for report in reports]
    assert pids[1:] == [os.getpid()] * 2
    assert await scheduler.stop() == []
    assert not Path(f"/proc/{pids[0]}").exists()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) <= before
    assert asyncio.all_tasks() == {asyncio.current_task()}
    gc.collect()


async def test_stopping_during_runs_is_quick_and_complete(samples, tmp_path, wait_until):
    pid_file = tmp_path / "pids"
    hangs = CheckSpec(
        "p", "x", "sample_checks:HangsForever", {"pid_file": pid_file}, "process", timeout=25.0
    )
    scheduler = Scheduler(
        [hangs], clock=SystemClock(), emit=lambda *_: None, on_transition=lambda *_: None
    )
    scheduler.start()
    await wait_until(lambda: pid_file.exists() and len(pid_file.read_text().split()) == 2)
    worker, child = (int(pid) for pid in pid_file.read_text().split())
    assert await asyncio.wait_for(scheduler.stop(), 5) == []
    assert not Path(f"/proc/{worker}").exists()
    await wait_until(lambda: "sleep" not in _command(child))


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_a_process_with_a_hung_check_still_ends(samples):
    samples_path = str(Path(samples.__file__).parent)
    code = f"""
import asyncio, sys
sys.path.insert(0, {samples_path!r})
from vitald.checks.scheduler import Scheduler
from vitald.checks.spec import CheckSpec
from vitald.clock import SystemClock

async def main():
    spec = CheckSpec("nfs", "disk", "sample_checks:HangsInThread", timeout=0.05)
    scheduler = Scheduler([spec], clock=SystemClock(), emit=lambda *_: None,
                          on_transition=lambda spec, t: print(t.message))
    scheduler.start()
    await scheduler.run_now("nfs")
    print(await scheduler.stop())

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("timed out after 0.05 s\n['nfs']\n", "")

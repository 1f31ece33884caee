from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from vitald.checks import supervisor
from vitald.checks.spec import CheckSpec
from vitald.checks.supervisor import WorkerRunner
from vitald.config.options import Secret, SecretURL
from vitald.status import Status


def alive(pid: int) -> bool:
    """Tell whether a process exists and is not only waiting to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


@pytest.fixture
async def runner_of(samples):
    made = []

    def make(name, *, timeout=20.0, **options):
        factory = f"{samples.__name__}:{name}"
        spec = CheckSpec("sample", "x", factory, options, "process", interval=60.0, timeout=timeout)
        runner = WorkerRunner(spec, asyncio.Semaphore(2))
        made.append(runner)
        return runner

    yield make
    for runner in made:
        await runner.close()
        assert not runner.hung


def pid_in(outcome) -> int:
    return int(outcome.result.message.split(" in ")[1])


async def test_one_worker_serves_every_run(runner_of):
    runner = runner_of("CountsItsRuns")
    outcomes = [await runner.run() for _ in range(3)]
    assert [o.result.message.split(" in ")[0] for o in outcomes] == ["run 1", "run 2", "run 3"]
    assert len({pid_in(outcome) for outcome in outcomes}) == 1
    assert pid_in(outcomes[0]) != os.getpid()


async def test_the_time_to_start_a_worker_is_not_the_checks(runner_of):
    # Starting Python takes longer than this timeout; the check itself takes microseconds.
    outcome = await runner_of("Fine", timeout=0.5).run()
    assert outcome.result.status is Status.HEALTHY
    assert outcome.seconds < 0.1


async def test_closing_leaves_no_process(runner_of):
    runner = runner_of("CountsItsRuns")
    pid = pid_in(await runner.run())
    assert alive(pid)
    await runner.close()
    assert not alive(pid)
    assert not Path(f"/proc/{pid}").exists(), "it was not reaped"


async def test_a_check_that_ignores_every_signal_is_killed_with_its_children(
    runner_of, tmp_path, wait_until
):
    pid_file = tmp_path / "pids"
    runner = runner_of("HangsForever", timeout=0.5, pid_file=pid_file)
    started = time.monotonic()
    outcome = await runner.run()
    assert outcome.timed_out
    assert outcome.result.status is Status.CRITICAL
    assert outcome.result.message == "timed out after 0.5 s"
    assert time.monotonic() - started < supervisor.START_SECONDS + 1
    worker, child = (int(pid) for pid in pid_file.read_text().split())
    await wait_until(lambda: not runner.hung)
    await wait_until(lambda: not alive(worker) and not alive(child))


async def test_after_a_kill_the_next_run_gets_a_new_worker(runner_of, tmp_path, wait_until):
    runner = runner_of("HangsOnce", timeout=0.5, marker=tmp_path / "marker")
    assert (await runner.run()).timed_out
    await wait_until(lambda: not runner.hung)
    assert (await runner.run()).result.status is Status.HEALTHY


async def test_a_worker_that_dies_between_runs_is_replaced_unnoticed(runner_of, wait_until):
    runner = runner_of("CountsItsRuns")
    pid = pid_in(await runner.run())
    os.kill(pid, signal.SIGKILL)
    await wait_until(lambda: not alive(pid))
    outcome = await runner.run()
    assert outcome.result.status is Status.HEALTHY
    assert pid_in(outcome) != pid


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("signal", "worker was ended by signal 11"),
        ("exit", "worker ended with code 3: the driver's last words"),
    ],
)
async def test_a_crash_during_a_run_says_nothing_of_the_service_and_names_the_end(
    runner_of, how, message
):
    outcome = await runner_of("Crashes", how=how).run()
    assert (outcome.result.status, outcome.result.message) == (Status.UNKNOWN, message)
    assert not outcome.timed_out


async def test_what_a_driver_prints_or_reads_stays_out_of_the_channel(runner_of):
    runner = runner_of("Noisy")
    for _ in range(2):
        assert (await runner.run()).result.message == "read '' and ''"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("rubbish", "it is no JSON"),
        ("[1]", "it is no object"),
        ("{}", "it has no 'run'"),
        ('{"run": 99}', "it is to another question"),
        ('{"run": 1, "status": 0, "message": "x"}', "it has no 'observations'"),
        ('{"run": 1, "status": 7, "message": "x", "observations": [], "seconds": 1}', "7 is not"),
        ('{"run": 1, "status": 0, "message": "x", "observations": [[1]], "seconds": 1}', "unpack"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_unknown_and_ends_the_worker(
    runner_of, line, fault, wait_until
):
    runner = runner_of("WritesGarbage", line=line)
    outcome = await runner.run()
    assert outcome.result.status is Status.UNKNOWN
    assert outcome.result.message.startswith("cannot read the worker's answer: ")
    assert fault in outcome.result.message
    await wait_until(lambda: not runner.hung)


async def test_an_endless_answer_is_cut_off(runner_of):
    outcome = await runner_of("WritesGarbage", line="x" * (2 << 20)).run()
    assert outcome.result.status is Status.UNKNOWN
    assert outcome.result.message.startswith("cannot ask worker: ")


async def test_options_arrive_as_they_are_and_secrets_stay_out_of_the_process_table(
    runner_of, wait_until
):
    runner = runner_of(
        "ListsItsSecrets",
        password=Secret("hunter2"),
        url=SecretURL.read("postgresql://me:s3cret@db/x"),
    )
    outcome = await runner.run()
    assert outcome.result.message == "cannot log in with *** at ***\ufffd[2J and more"
    (pid,) = [worker._process.pid for worker in [runner._worker]]
    seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    assert b"hunter2" not in seen
    assert b"s3cret" not in seen
    assert b"check:sample" in seen


async def test_options_that_cannot_be_sent_are_a_failure_and_not_a_crash(runner_of):
    outcome = await runner_of("Fine", message=lambda: None).run()
    assert outcome.result.status is Status.UNKNOWN
    assert outcome.result.message.startswith("cannot send options to worker: ")


async def test_a_worker_that_does_not_get_ready_is_killed(runner_of, monkeypatch, wait_until):
    monkeypatch.setattr(supervisor, "START_SECONDS", 0.2)
    monkeypatch.setattr(supervisor, "_BOOTSTRAP", "import time; time.sleep(600)")
    runner = runner_of("Fine")
    outcome = await runner.run()
    assert outcome.result.status is Status.UNKNOWN
    assert outcome.result.message == "cannot start worker: not ready after 0.2 s"
    await wait_until(lambda: not runner.hung)


async def test_an_interpreter_that_cannot_be_started_is_a_failure(runner_of, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    outcome = await runner_of("Fine").run()
    assert outcome.result.message == "cannot start worker: no such file or directory"


async def test_an_import_that_fails_in_the_worker_is_reported_every_time(runner_of):
    runner = runner_of("Unbuildable")
    for _ in range(2):
        outcome = await runner.run()
        assert outcome.result.status is Status.UNKNOWN
        assert "No module named 'driver'" in outcome.result.message


async def test_modules_of_the_working_directory_do_not_replace_the_standard_library(
    runner_of, tmp_path, monkeypatch
):
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert (await runner_of("Fine").run()).result.message == "fine"


async def test_a_cancelled_run_kills_its_worker(runner_of, tmp_path, wait_until):
    pid_file = tmp_path / "pids"
    runner = runner_of("HangsForever", pid_file=pid_file)
    task = asyncio.create_task(runner.run())
    await wait_until(lambda: pid_file.exists() and len(pid_file.read_text().split()) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    worker, child = (int(pid) for pid in pid_file.read_text().split())
    await wait_until(lambda: not alive(worker) and not alive(child))

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from pydantic import ValidationError

from vitald.checks.process import Options, ProcessCheck
from vitald.status import Status

BUSY = "import sys; print('ready', flush=True)\nwhile True: pass"
IDLE = "import sys, time; print('ready', flush=True); time.sleep(600)"
HOARDS_FILES = (
    "import resource, time; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
    "kept = [open('/dev/null') for _ in range(54)]\n"
    "print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def start(tmp_path):
    """Start real processes with a command line of their own; all end with the test."""
    started = []

    def run(code=IDLE, mark=None):
        command = [sys.executable, "-c", code, mark or run.mark]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    run.mark = f"vitald-process-test-{os.getpid()}-{tmp_path.name}"
    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def values(result):
    return {item.name: item.value for item in result.observations}


def by_command(start, **options):
    return ProcessCheck(command=re.compile(re.escape(start.mark)), **options)


def test_processes_are_counted_by_their_command_line(start):
    start(), start()
    result = by_command(start).run()
    assert result.status is Status.HEALTHY
    assert result.message.startswith(f"2 processes of /{re.escape(start.mark)}/")
    assert values(result)["process_count"] == 2
    assert values(result)["process_memory_bytes"] > 5 << 20
    assert values(result)["process_open_files"] >= 6
    assert values(result)["process_threads"] >= 2


def test_a_process_that_dies_is_critical_and_its_numbers_are_gone(start):
    process = start()
    check = by_command(start)
    assert check.run().status is Status.HEALTHY
    process.kill()
    process.wait()
    result = check.run()
    assert result.status is Status.CRITICAL
    assert result.message == f"0 processes of /{re.escape(start.mark)}/, at least 1 must run"
    assert values(result)["process_count"] == 0
    assert values(result)["process_uptime_seconds"] is None


def test_a_zombie_does_not_run(start):
    process = start()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert by_command(start).run().status is Status.CRITICAL


def test_too_few_and_too_many_are_critical(start):
    start()
    assert "at least 2 must run" in by_command(start, at_least=2).run().message
    start()
    assert by_command(start, at_least=2, at_most=2).run().status is Status.HEALTHY
    result = by_command(start, at_most=1).run()
    assert result.status is Status.CRITICAL
    assert "2 processes" in result.message
    assert "at most 1 may run" in result.message


def test_a_process_that_must_not_run_is_fine_when_it_does_not(start):
    assert by_command(start, at_least=0, at_most=0).run().status is Status.HEALTHY
    start()
    assert by_command(start, at_least=0, at_most=0).run().status is Status.CRITICAL


def test_processes_are_found_by_name(start):
    process = start()
    name = psutil.Process(process.pid).name()
    assert values(ProcessCheck(name=name).run())["process_count"] >= 1


def test_memory_has_limits(start):
    start()
    assert by_command(start, memory_warning=1 << 20).run().status is Status.WARNING
    result = by_command(start, memory_critical=1 << 20).run()
    assert result.status is Status.CRITICAL
    assert "resident (critical at 1 MiB)" in result.message
    assert by_command(start, memory_critical=1 << 40).run().status is Status.HEALTHY


def test_processor_time_has_limits_and_is_true(start):
    process = start(BUSY)
    check = by_command(start, cpu_warning=5.0)
    before, began = psutil.Process(process.pid).cpu_times(), time.monotonic()
    result = check.run()
    after, spent = psutil.Process(process.pid).cpu_times(), time.monotonic() - began
    assert result.status is Status.WARNING
    # All that the process can have used of a core while the check looked, and a tick at each end.
    most = 100 * (after.user + after.system - before.user - before.system + 0.02) / 0.25
    assert 5.0 <= values(result)["process_cpu_percent"] <= most
    assert spent >= 0.25


def test_open_files_are_judged_by_the_limit_of_the_worst_process(start):
    start()
    hoarder = start(HOARDS_FILES)
    result = by_command(start).run()
    assert result.status is Status.WARNING
    assert result.message.startswith(f"process {hoarder.pid} has ")
    assert "of its open files open (warning at 80 %)" in result.message


def test_a_pid_file_is_followed_from_one_process_to_the_next(start, tmp_path):
    path = tmp_path / "pid"
    check = ProcessCheck(pid_file=path)
    result = check.run()
    assert (result.status, result.message) == (Status.CRITICAL, f"there is no pid file {path}")
    first = start()
    path.write_text(f"{first.pid}\n")
    assert check.run().status is Status.HEALTHY
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert check.run().message == f"process {first.pid} of {path} does not run"
    second = start()
    path.write_text(f"{second.pid}\n")
    result = check.run()
    assert result.status is Status.HEALTHY
    assert values(result)["process_cpu_percent"] >= 0


def test_a_pid_that_was_given_to_another_process_is_critical(start, tmp_path):
    process = start()
    path = tmp_path / "pid"
    path.write_text(str(process.pid))
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    result = ProcessCheck(pid_file=path).run()
    assert result.status is Status.CRITICAL
    assert "is another one, started after the file was written" in result.message


def test_the_sidecar_can_watch_itself():
    result = ProcessCheck(pid="self").run()
    assert result.status is Status.HEALTHY
    assert result.message.startswith("1 process of the sidecar")
    assert values(result)["process_uptime_seconds"] >= 0


def test_files_that_may_not_be_counted_are_unknown(start, monkeypatch):
    def denied(_):
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil.Process, "num_fds", denied)
    start()
    result = by_command(start).run()
    assert result.status is Status.HEALTHY
    assert values(result)["process_open_files"] is None


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "exactly one of pid_file, name, command, pid"),
        ({"name": "a", "command": "b"}, "exactly one of"),
        ({"name": ""}, "at least 1 character"),
        ({"command": "("}, "regular expression"),
        ({"pid": "7"}, "'self'"),
        ({"name": "a", "at_least": 2, "at_most": 1}, "at_most must not be below at_least"),
        ({"name": "a", "memory_warning": "2GB", "memory_critical": "1GB"}, "not be below"),
        ({"name": "a", "open_files_critical": "50%"}, "not be below"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, fault):
    with pytest.raises(ValidationError, match=fault):
        Options(**options)


def test_a_command_is_compiled_when_the_file_is_read():
    assert Options(command="celery.*worker").command.search("celery -A x worker")

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from vitald.checks.readings.processes import (
    ProcessSample,
    cpu_percent,
    has_command,
    has_name,
    sample_from_pid_file,
    sample_matching,
    sample_process,
)


@pytest.fixture
def sleeper(tmp_path):
    """A real process with a command line of its own."""
    mark = f"vitald-test-{os.getpid()}-{tmp_path.name}"
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", mark])
    process.mark = mark
    yield process
    process.kill()
    process.wait()


def test_what_this_process_holds_is_counted(tmp_path):
    before = sample_process(os.getpid())
    files = [(tmp_path / str(number)).open("w") for number in range(40)]
    after = sample_process(os.getpid())
    for file in files:
        file.close()
    assert after.open_files - before.open_files == 40
    assert after.rss_bytes > 10 << 20
    assert after.threads >= 1
    assert after.started == pytest.approx(psutil.Process().create_time())
    assert after.open_files_percent == pytest.approx(
        100 * after.open_files / after.open_files_limit
    )


def test_processor_time_between_two_samples_is_what_was_spent():
    before, spent = sample_process(os.getpid()), time.process_time()
    while time.process_time() < spent + 0.3:
        pass
    after, spent = sample_process(os.getpid()), time.process_time() - spent
    # The kernel's count has a grain of a hundredth of a second at either end.
    assert cpu_percent([before], [after], 1.0) == pytest.approx(spent * 100, abs=4)


def sample(pid, started, cpu):
    return ProcessSample(pid, started, "x", 0, cpu, 1, None, None)


def test_a_pid_that_was_given_out_again_is_another_process():
    # The earlier owner of the number had spent 100 s: the new one is not compared with it.
    assert cpu_percent([sample(7, 1.0, 100.0)], [sample(7, 2.0, 5.0)], 10.0) == 50.0


def test_processes_come_and_go_between_samples():
    before = [sample(1, 1.0, 10.0), sample(2, 1.0, 99.0)]
    after = [sample(1, 1.0, 11.0), sample(3, 5.0, 2.0)]
    assert cpu_percent(before, after, 10.0) == pytest.approx(30.0)
    assert cpu_percent(before, [], 10.0) == 0.0


def test_processes_are_found_by_their_command_line(sleeper):
    (found,) = sample_matching(has_command(re.compile(re.escape(sleeper.mark)).search))
    assert found.pid == sleeper.pid


def test_processes_are_found_by_their_exact_name(sleeper):
    name = psutil.Process(sleeper.pid).name()
    assert sleeper.pid in {process.pid for process in sample_matching(has_name(name))}
    assert sample_matching(has_name(name[:-1] + "\u00e9")) == []


def test_a_process_that_ended_or_is_a_zombie_is_none():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert sample_process(process.pid) is None
    process.wait()
    assert sample_process(process.pid) is None


def test_what_may_not_be_read_is_none(monkeypatch):
    def denied(*_):
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil.Process, "num_fds", denied)
    monkeypatch.setattr(psutil.Process, "rlimit", denied)
    found = sample_process(os.getpid())
    assert (found.open_files, found.open_files_limit, found.open_files_percent) == (None,) * 3
    assert found.rss_bytes > 0


def test_a_pid_file_names_its_process(tmp_path, sleeper):
    path = tmp_path / "pid"
    path.write_text(f"{sleeper.pid}\n")
    found, why_not = sample_from_pid_file(path)
    assert (found.pid, why_not) == (sleeper.pid, "")


@pytest.mark.parametrize(
    ("text", "why_not"),
    [
        (b"", "no process id in "),
        (b"\xff\x00", "no process id in "),
        (b"-5\n", "no process id in "),
        (b"999999999\n", "process 999999999 of "),
        (b"9" * 10_000, "process "),
        ("٣".encode(), "no process id in "),
    ],
)
def test_a_pid_file_that_names_nothing_says_why(tmp_path, text, why_not):
    path = tmp_path / "pid"
    path.write_bytes(text)
    found, reason = sample_from_pid_file(path)
    assert found is None
    assert reason.startswith(why_not)


def test_a_pid_file_that_is_not_there_says_so(tmp_path):
    assert sample_from_pid_file(tmp_path / "pid") == (
        None,
        f"there is no pid file {tmp_path / 'pid'}",
    )


def test_a_pid_file_older_than_its_process_is_stale(tmp_path, sleeper):
    path = tmp_path / "pid"
    path.write_text(f"{sleeper.pid}\n")
    long_ago = psutil.Process(sleeper.pid).create_time() - 100
    os.utime(path, (long_ago, long_ago))
    found, why_not = sample_from_pid_file(path)
    assert found is None
    assert why_not.endswith("is another one, started after the file was written")


def test_a_directory_in_place_of_a_pid_file_is_an_error(tmp_path):
    with pytest.raises(OSError, match="directory"):
        sample_from_pid_file(Path(tmp_path))

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent / "samples"
TIMEOUT = 30


def hello(name, **options):
    pickled = base64.b64encode(pickle.dumps(options)).decode()
    return {"factory": f"sample_checks:{name}", "options": pickled}


class Child:
    """A worker started by hand, as its docstring describes."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vitald.checks.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SAMPLES)},
            start_new_session=True,
        )

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, message):
        self.send(message)
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.wait(TIMEOUT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


@pytest.fixture
def child():
    child = Child()
    yield child
    child.end()


def test_it_answers_each_line_with_one_line(child):
    assert child.ask(hello("Fine")) == {"ready": True}
    answer = child.ask({"run": 7})
    assert 0 <= answer.pop("seconds") < 5
    assert answer == {
        "run": 7,
        "status": 0,
        "message": "fine",
        "observations": [["answer", 42.0, []]],
    }
    assert child.ask({"run": 8})["run"] == 8


def test_the_end_of_its_input_ends_it(child):
    child.ask(hello("Fine"))
    child.process.stdin.close()
    assert child.process.wait(TIMEOUT) == 0


def test_the_end_of_its_input_ends_it_in_the_middle_of_a_run(child, tmp_path):
    child.ask(hello("HangsOnce", marker=tmp_path / "marker"))
    child.send({"run": 1})
    while not (tmp_path / "marker").exists():
        assert child.process.poll() is None
    child.process.stdin.close()
    assert child.process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_meant_for_the_whole_service_do_not_end_it(child, number):
    child.ask(hello("Fine"))
    child.process.send_signal(number)
    assert child.ask({"run": 1})["status"] == 0


def test_it_does_not_outlive_a_parent_that_died_before_it_was_ready():
    not_the_parent = Child("1")
    assert not_the_parent.process.wait(TIMEOUT) == 0
    not_the_parent.end()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux'")
def test_it_dies_with_its_parent_even_when_it_holds_the_interpreter(tmp_path):
    pid_file = tmp_path / "pids"
    parent = f"""
import asyncio, os, pathlib, sys
sys.path.insert(0, {str(SAMPLES)!r})
from vitald.checks.spec import CheckSpec
from vitald.checks.supervisor import WorkerRunner

async def main():
    spec = CheckSpec("s", "x", "sample_checks:HangsForever",
                     {{"pid_file": pathlib.Path({str(pid_file)!r})}}, "process", timeout=20.0)
    asyncio.create_task(WorkerRunner(spec, asyncio.Semaphore(1)).run())
    while not (pathlib.Path({str(pid_file)!r}).exists() and " " in open({str(pid_file)!r}).read()):
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", parent], timeout=TIMEOUT, check=False)
    assert ended.returncode == -signal.SIGKILL
    worker, grandchild = (int(pid) for pid in pid_file.read_text().split())
    try:
        deadline = time.monotonic() + TIMEOUT
        while _runs(worker) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not _runs(worker)
    finally:
        os.kill(grandchild, signal.SIGKILL)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False

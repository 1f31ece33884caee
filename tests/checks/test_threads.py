from __future__ import annotations

import subprocess
import sys
import threading

from vitald.checks.threads import DaemonPool


class Held:
    """A call that begins, waits to be let go, and returns its number."""

    def __init__(self, number=0):
        self.number = number
        self.began = threading.Event()
        self.let_go = threading.Event()
        self.ended = threading.Event()

    def __call__(self):
        self.began.set()
        assert self.let_go.wait(10)
        return self.number

    def when_done(self):
        self.ended.set()


def submit(pool, call):
    return pool.submit(call, call.when_done)


def test_a_call_returns_its_value_or_its_error():
    pool = DaemonPool("test", 2)
    ended = threading.Event()
    job = pool.submit(lambda: 7, ended.set)
    assert ended.wait(10)
    assert (job.value, job.error, job.done) == (7, None, True)
    ended.clear()
    job = pool.submit(lambda: 1 / 0, ended.set)
    assert ended.wait(10)
    assert isinstance(job.error, ZeroDivisionError)
    pool.close()


def test_no_more_threads_than_its_size_and_one_more_job_waits():
    pool = DaemonPool("bounded", 2)
    held = [Held(number) for number in range(3)]
    jobs = [submit(pool, call) for call in held]
    assert held[0].began.wait(10)
    assert held[1].began.wait(10)
    assert not jobs[2].started
    assert sum(thread.name.startswith("bounded-") for thread in threading.enumerate()) == 2
    held[0].let_go.set()
    assert held[2].began.wait(10)
    for call in held:
        call.let_go.set()
        assert call.ended.wait(10)
    assert [job.value for job in jobs] == [0, 1, 2]
    pool.close()


def test_threads_are_started_when_needed_and_used_again():
    pool = DaemonPool("lazy", 8)
    for number in range(20):
        held = Held(number)
        held.let_go.set()
        submit(pool, held)
        assert held.ended.wait(10)
    # A thread counts as free a moment after its job is done, so a second one may have started.
    assert sum(thread.name.startswith("lazy-") for thread in threading.enumerate()) <= 2
    pool.close()


def test_a_dropped_job_never_begins_but_a_running_one_cannot_be_stopped():
    pool = DaemonPool("drop", 1)
    first, second, third = Held(), Held(), Held()
    running = submit(pool, first)
    assert first.began.wait(10)
    waiting = submit(pool, second)
    running.drop()
    waiting.drop()
    assert not running.done
    assert waiting.done
    last = submit(pool, third)
    third.let_go.set()
    first.let_go.set()
    assert third.ended.wait(10)
    assert (running.done, last.done, second.began.is_set()) == (True, True, False)
    pool.close()


def test_closing_ends_idle_threads_and_leaves_a_hung_one():
    pool = DaemonPool("closing", 2)
    hung = Held()
    submit(pool, hung)
    assert hung.began.wait(10)
    free = Held()
    free.let_go.set()
    submit(pool, free)
    assert free.ended.wait(10)
    threads = [t for t in threading.enumerate() if t.name.startswith("closing-")]
    pool.close()
    assert len(threads) == 2
    threads[1].join(10)
    assert [thread.is_alive() for thread in threads] == [True, False]
    hung.let_go.set()
    threads[0].join(10)
    assert not threads[0].is_alive()


def test_a_hung_thread_does_not_keep_the_process_from_ending():
    code = (
        "import threading, vitald.checks.threads as t\n"
        "began = threading.Event()\n"
        "def hang():\n"
        "    began.set()\n"
        "    threading.Event().wait()\n"
        "t.DaemonPool('hung', 1).submit(hang, print)\n"
        "began.wait()\n"
        "print('bye')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert (ended.stdout, ended.stderr) == ("bye\n", "")

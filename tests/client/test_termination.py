"""SIGTERM in real processes: what was recorded arrives, and the signal does what it did."""

from __future__ import annotations

import signal
import socket
import threading

import pytest

from vitald.client.termination import flush_on_sigterm

SETUP = """
import os, signal, sys, threading, time
from vitald import Client
from vitald.client.termination import flush_on_sigterm
client = Client(flush_interval=3600)
for number in range(1000):
    client.incr("jobs")
    client.timing("render", number)

def terminate():
    os.kill(os.getpid(), signal.SIGTERM)
"""


def assert_everything_came(udp, jobs=1000):
    totals = udp.totals()
    assert totals.counters["jobs"] == jobs
    assert totals.values("render") == list(range(1000))


def test_a_process_that_sigterm_kills_has_sent_everything_and_is_killed_all_the_same(
    run_script, udp
):
    done = run_script(SETUP + "flush_on_sigterm(); terminate(); print('alive')", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")
    assert_everything_came(udp)


def test_the_handler_that_was_there_runs_after_the_flush(run_script, udp):
    done = run_script(
        SETUP
        + """
def stop(number, frame):
    assert number == signal.SIGTERM and frame.f_code.co_name == "terminate"
    print(client.stats()["waiting"])
    client.incr("jobs")
    sys.exit(7)
signal.signal(signal.SIGTERM, stop)
flush_on_sigterm()
terminate()
print("alive")
""",
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "0\n", "")
    assert_everything_came(udp, 1001)


def test_a_handler_that_returns_lets_the_program_go_on_and_is_called_each_time(run_script, udp):
    done = run_script(
        SETUP
        + """
signal.signal(signal.SIGTERM, lambda *_: print("asked to stop"))
flush_on_sigterm()
for _ in range(3):
    terminate()
    client.incr("jobs")
"""
    )
    assert done.stdout == "asked to stop\n" * 3
    assert_everything_came(udp, 1003)


def test_an_ignored_sigterm_stays_ignored(run_script, udp):
    done = run_script(
        SETUP
        + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
flush_on_sigterm()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
terminate()
print("alive")
"""
    )
    assert done.stdout == "alive\n"
    assert_everything_came(udp)


def test_asking_twice_chains_nothing_twice(run_script, udp):
    done = run_script(
        SETUP
        + """
signal.signal(signal.SIGTERM, lambda *_: print("asked to stop"))
flush_on_sigterm()
ours = signal.getsignal(signal.SIGTERM)
flush_on_sigterm()
assert signal.getsignal(signal.SIGTERM) is ours
signal.signal(signal.SIGTERM, lambda *args: ours(*args))
flush_on_sigterm()
terminate()
"""
    )
    assert done.stdout == "asked to stop\n"
    assert_everything_came(udp)


def test_only_the_main_thread_can_ask():
    before = signal.getsignal(signal.SIGTERM)
    errors = []

    def ask():
        try:
            flush_on_sigterm()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert errors == ["cannot flush on SIGTERM: only the main thread can set a signal's handler"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    with pytest.raises(RuntimeError, match="its handler was not set by Python"):
        flush_on_sigterm()


@pytest.mark.parametrize("thread", ["main", "flusher"])
@pytest.mark.parametrize("chained", ["killed", "exits"])
def test_a_signal_in_the_midst_of_a_fold_waits_for_its_end(run_script, udp, thread, chained):
    """The value sends it while it is added up: with the lock of the series held."""
    done = run_script(
        SETUP
        + f"""
class Value(int):
    def __radd__(self, other):
        if not came:
            came.append(threading.get_native_id())
            terminate()
        return int(self) + other

came = []
if {chained!r} == "exits":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
flush_on_sigterm()
client.incr("jobs", Value(1))
if {thread!r} == "main":
    for _ in range(5000):
        client.incr("jobs")
        if came:
            break
    assert came == [threading.get_native_id()]
else:
    client._flusher.wake()
while True:  # one long sleep is not interrupted by a signal that comes right before it
    time.sleep(0.01)
""",
        check=False,
    )
    assert done.returncode == (0 if chained == "exits" else -signal.SIGTERM), done.stderr
    assert done.stderr == ""
    totals = udp.totals()
    assert totals.values("render") == list(range(1000))
    # The main thread goes on until the signal is handed on.
    assert (
        totals.counters["jobs"] == 1001 if thread == "flusher" else totals.counters["jobs"] > 2048
    )


def test_a_signal_at_any_moment_of_a_recording_main_thread_loses_nothing(run_script, udp):
    """What was recorded last is printed by a handler that exits in the midst of the loop."""
    recorded = 0
    for delay in (0.0, 0.003, 0.01, 0.02, 0.05):
        done = run_script(
            f"""
            import os, signal, sys, threading, time
            from vitald import Client
            from vitald.client.termination import flush_on_sigterm
            client = Client(flush_interval=0.01)
            handle = client.counter("jobs")
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            flush_on_sigterm()
            count = 0
            try:
                threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGTERM)).start()
                while True:
                    handle.inc()
                    count += 1
            finally:
                print(count)
            """
        )
        recorded += int(done.stdout)
    # Between the call and the count of it an exit may come, once a process.
    assert 0 <= udp.totals().counters["jobs"] - recorded <= 5


def test_a_full_queue_holds_the_end_up_no_longer_than_promised(run_script, tmp_path):
    path = str(tmp_path / "stopped.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        done = run_script(
            """
            import os, signal, sys, time
            from vitald import Client
            from vitald.client.termination import flush_on_sigterm
            clients = [Client(flush_interval=3600) for _ in range(3)]
            for client in clients:
                for number in range(20_000):
                    client.timing("render", number / 7)
            start = time.monotonic()
            signal.signal(signal.SIGTERM, lambda *_: print(time.monotonic() - start))
            flush_on_sigterm()
            os.kill(os.getpid(), signal.SIGTERM)
            """,
            url=f"unixgram://{path}",
        )
    assert float(done.stdout) < 3.0


def test_a_second_sigterm_does_not_wait(run_script, tmp_path):
    path = str(tmp_path / "stopped.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        done = run_script(
            SETUP.replace("range(1000)", "range(50_000)")
            + """
start = time.monotonic()
flush_on_sigterm()
threading.Timer(0.3, terminate).start()
terminate()
""",
            url=f"unixgram://{path}",
            check=False,
        )
    assert done.returncode == -signal.SIGTERM


def test_a_signal_while_the_process_ends_anyway_is_handed_on_after_the_flush(run_script, udp):
    done = run_script(
        SETUP
        + """
class Value(int):
    def __radd__(self, other):
        terminate()
        time.sleep(0.05)
        return int(self) + other

flush_on_sigterm()
client.incr("jobs", Value(1))
""",
        check=False,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert_everything_came(udp, 1001)


def test_children_of_forks_flush_too(run_script, udp):
    run_script(
        SETUP
        + """
flush_on_sigterm()
pids = []
for number in range(4):
    pids.append(os.fork())
    if not pids[-1]:
        client.incr("jobs", 10)
        terminate()
for pid in pids:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
"""
    )
    assert_everything_came(udp, 1040)


def test_the_workers_of_a_terminated_pool_flush_too(run_script, udp, tmp_path):
    """`with Pool()` ends its workers by SIGTERM."""
    script = tmp_path / "service.py"
    script.write_text(
        """
import multiprocessing
from vitald import Client
from vitald.client.termination import flush_on_sigterm
client = Client(flush_interval=3600)

def work(number):
    client.incr("jobs")

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2, initializer=flush_on_sigterm) as pool:
            pool.map(work, range(100))
"""
    )
    run_script(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
    assert udp.totals().counters["jobs"] == 300

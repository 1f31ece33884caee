"""Ends and forks of real processes: what was recorded arrives, once."""

from __future__ import annotations

import pytest

from vitald.client import lifecycle

SETUP = """
import os, signal, sys, threading, time
from vitald import Client
client = Client(flush_interval=3600)
for _ in range(1000):
    client.incr("jobs")
    client.timing("render", 1)
"""

ENDS = {
    "return": "",
    "sys.exit": "sys.exit(0)",
    "sys.exit with an error": "sys.exit(3)",
    "an uncaught exception": "raise ValueError('uncaught')",
    "an interrupt": "os.kill(os.getpid(), signal.SIGINT); time.sleep(10)",
    "SIGTERM with a handler": """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)
""",
    "a thread that goes on": """
def work():
    for _ in range(500):
        client.incr("jobs"); client.timing("render", 1)
threading.Thread(target=lambda: (time.sleep(0.05), work())).start()
""",
    "a daemon thread that never ends": """
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
""",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_what_was_recorded_arrives_however_the_process_ends(run_script, udp, end):
    done = run_script(SETUP + end, check=False)
    expected = 1500 if "work" in end else 1000
    totals = udp.totals()
    assert totals.counters["jobs"] == expected, done.stderr
    assert len(totals.samples["render"]) == expected


def test_a_normal_end_is_silent_and_leaves_nothing_open(run_script, udp):
    done = run_script(
        """
        import warnings
        warnings.simplefilter("error")
        from vitald import Client
        Client().incr("jobs")
        Client().event("never flushed")
        """
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(udp.lines()) == ["_e{13,0}:never flushed|", "jobs:1|c"]


def test_nobody_listening_does_not_hold_the_end_up(run_script, nobody):
    done = run_script(
        """
        import atexit, time
        start = time.monotonic()
        atexit.register(lambda: print(time.monotonic() - start))
        """
        + SETUP.replace("\n", "\n        "),
        url=nobody,
    )
    # The client's own handler runs first: it was registered later.
    assert float(done.stdout) < 1.5


def test_a_forked_child_sends_its_own_values_and_not_its_parents(run_script, udp):
    run_script(
        SETUP
        + """
handle = client.counter("jobs")
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        handle.inc(10)
        client.incr("children")
        client.timing("child", 1)
        sys.exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
client.incr("parent")
"""
    )
    totals = udp.totals()
    assert totals.counters == {"jobs": 1000 + 5 * 10, "children": 5, "parent": 1}
    assert len(totals.samples["render"]) == 1000
    assert len(totals.samples["child"]) == 5


def test_forks_in_the_midst_of_threads_that_record_neither_hang_nor_lose(run_script, udp):
    run_script(
        """
        import os, sys, threading, time
        from vitald import Client
        client = Client(flush_interval=0.01)
        handle = client.counter("parent")
        done = threading.Event()
        counts = []

        def work():
            count = 0
            while not done.is_set():
                handle.inc()
                client.timing("render", 1)
                count += 1
                if count % 100 == 0:
                    time.sleep(0.001)  # who spins outruns the flusher
            counts.append(count)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for _ in range(15):
            pid = os.fork()
            if pid == 0:
                for _ in range(1000):
                    client.incr("child")
                ok = client.flush(10)
                os._exit(0 if ok else 1)
            children.append(pid)
        statuses = [os.waitpid(pid, 0)[1] for pid in children]
        done.set()
        for thread in threads:
            thread.join()
        client.incr("expected", sum(counts))
        client.incr("statuses", sum(statuses))
        client.close(20)
        assert not client.stats()["dropped"], client.stats()
        """
    )
    totals = udp.totals()
    assert totals.counters["child"] == 15_000
    assert totals.counters["statuses"] == 0
    assert totals.counters["parent"] == totals.counters["expected"]
    assert len(totals.samples["render"]) == totals.counters["expected"]


POOLS = {
    "made before the fork": ("client = Client(flush_interval=3600)", ""),
    "made in the child": ("", "client = Client(flush_interval=3600)"),
}


@pytest.mark.parametrize(("before", "within"), POOLS.values(), ids=POOLS.keys())
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_send_what_they_recorded(
    run_script, udp, tmp_path, method, before, within
):
    if method != "fork" and before:
        within = before  # nothing is inherited
    script = tmp_path / "service.py"
    script.write_text(
        f"""
import multiprocessing
from vitald import Client
{before}

def work(number):
    {within or "pass"}
    for _ in range(1000):
        client.incr("jobs")

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target=work, args=(n,)) for n in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
"""
    )
    run_script(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
    assert udp.totals().counters["jobs"] == 4000


def test_a_pool_of_a_pool_sends_too(run_script, udp):
    run_script(
        """
        import multiprocessing, os, sys
        from vitald import Client
        client = Client(flush_interval=3600)
        context = multiprocessing.get_context("fork")

        def inner():
            client.incr("jobs")

        def outer():
            client.incr("jobs", 10)
            child = context.Process(target=inner)
            child.start()
            child.join()

        client.incr("jobs", 100)
        child = context.Process(target=outer)
        child.start()
        child.join()
        """
    )
    assert udp.totals().counters["jobs"] == 111


def test_a_child_does_not_use_its_parents_connection(run_script, stream, read_all):
    done = run_script(
        """
        import os, sys
        from vitald import Client
        client = Client(flush_interval=3600)
        client.incr("parent")
        client.flush()
        pid = os.fork()
        if pid == 0:
            client.incr("child")
            client.close()
            os._exit(0)
        os.waitpid(pid, 0)
        client.incr("parent")
        """,
        url=stream.url,
    )
    assert read_all(stream.accept()) == ["parent:1|c", "parent:1|c"], done.stderr
    assert read_all(stream.accept()) == ["child:1|c"]


def test_a_closed_client_is_no_longer_watched(make_client, udp):
    client = make_client(udp.url)
    assert client._flusher in lifecycle._live
    client.close()
    assert client._flusher not in lifecycle._live

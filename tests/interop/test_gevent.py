"""gevent, in processes of its own: threads become greenlets, and locks switch between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from conservation import Sink, tally_of

# What `from _thread import …` found is what it was when the module was imported.
SETUPS = {
    "patched before the import": """
from gevent import monkey; monkey.patch_all()
from vitald import Client
client = Client(flush_interval=0.05)
""",
    "patched after the import": """
import vitald.client.client
from gevent import monkey; monkey.patch_all()
from vitald import Client
client = Client(flush_interval=0.05)
""",
    "patched after the first value": """
from vitald import Client
client = Client(flush_interval=0.05)
client.incr("jobs", 0)
from gevent import monkey; monkey.patch_all()
""",
}

IMPORTS = """
import os, signal, sys, time
import gevent
from vitald.client.termination import flush_on_sigterm
"""


@pytest.fixture
def sink(tmp_path):
    receiver = Sink("udp", tmp_path)
    yield receiver
    receiver.close()


@pytest.fixture
def run(sink):
    """Run a program that sends to `sink`; return the finished process."""

    def run(setup, source, *, status=0):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", setup + IMPORTS + textwrap.dedent(source)],
            env={**os.environ, "VITALD_URL": sink.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done

    return run


whenever_patched = pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS.keys())


@whenever_patched
def test_greenlets_that_record_lose_nothing(run, sink, setup):
    done = run(
        setup,
        """
        def work(first):
            for number in range(1000):
                client.incr("jobs")
                client.timing("render", first + number)
                if number % 100 == 0:
                    gevent.sleep(0)

        gevent.joinall([gevent.spawn(work, 1000 * n) for n in range(20)])
        assert client.flush(10)
        client.incr("jobs")  # the end of the process sends it
        """,
    )
    assert done.stderr == ""
    tally = tally_of(sink.lines())
    assert tally.sums == {"jobs": 20_001}
    assert tally.things == dict.fromkeys((f"render {n}.0" for n in range(20_000)), 1)


@whenever_patched
def test_a_greenlet_that_never_yields_starves_the_flusher_and_loses_nothing(run, sink, setup):
    run(
        setup,
        """
        for number in range(100_000):
            client.incr("jobs")
            client.timing("render", number)
        assert client.close(20)
        assert client.stats()["dropped"] == {}
        """,
    )
    tally = tally_of(sink.lines())
    assert tally.sums == {"jobs": 100_000}
    assert tally.things == dict.fromkeys((f"render {n}.0" for n in range(100_000)), 1)


def test_other_greenlets_go_on_while_one_waits_for_a_flush(run, sink):
    done = run(
        SETUPS["patched before the import"],
        """
        steps = []

        def step():
            while True:
                steps.append(1)
                gevent.sleep(0)

        other = gevent.spawn(step)
        client.incr("jobs")
        assert client.flush(10)
        print(len(steps))
        other.kill()
        """,
    )
    assert int(done.stdout) > 0
    assert tally_of(sink.lines()).sums == {"jobs": 1}


@whenever_patched
@pytest.mark.parametrize("where", ["an idle hub", "a busy greenlet"])
@pytest.mark.parametrize("handled", [True, False])
def test_sigterm_flushes_first(run, sink, setup, where, handled):
    run(
        setup,
        f"""
        if {handled}:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        flush_on_sigterm()
        client.flush()  # the flusher is there
        client.incr("jobs", 5)
        if {where!r} == "an idle hub":
            gevent.spawn_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
            gevent.sleep(20)
        else:
            os.kill(os.getpid(), signal.SIGTERM)
            gevent.sleep(20)
        """,
        status=7 if handled else -signal.SIGTERM,
    )
    assert tally_of(sink.lines()).sums["jobs"] == 5


@whenever_patched
def test_children_of_forks_send_their_own_values(run, sink, setup):
    run(
        setup,
        """
        client.incr("jobs")
        gevent.sleep(0.1)
        client.incr("jobs", 10)
        pid = os.fork()
        client.incr("jobs", 100)
        if not pid:
            sys.exit(0)
        os.waitpid(pid, 0)
        """,
    )
    assert tally_of(sink.lines()).sums == {"jobs": 211}

"""How pools are asked to call us; `tests/interop/test_prefork.py` has the real Celery."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from vitald.client import pools


class Signal:
    """As much of Celery's signal as there is to connect to."""

    def __init__(self):
        self.receivers = []

    def connect(self, receiver, *, weak, dispatch_uid):
        assert not weak
        self.receivers.append(((dispatch_uid, 0), receiver))

    def disconnect(self, *, dispatch_uid):
        self.receivers = [one for one in self.receivers if one[0][0] != dispatch_uid]

    def send(self):
        for _, receiver in self.receivers[:]:
            receiver(signal=self, sender="worker", pid=1, exitcode=0)


@pytest.fixture
def shutdown(monkeypatch):
    signal = Signal()
    module = SimpleNamespace(worker_process_shutdown=signal)
    monkeypatch.setitem(sys.modules, "celery.signals", module)
    return signal


def test_celerys_workers_are_flushed_after_all_others_were_told(shutdown):
    calls = []
    pools.follow(lambda: calls.append("flush"))
    shutdown.connect(lambda **_: calls.append("theirs"), weak=False, dispatch_uid="theirs")
    pools.follow(lambda: calls.append("flush"))
    shutdown.send()
    assert calls == ["theirs", "flush"]


def test_a_signal_that_is_connected_last_is_left_alone(shutdown, monkeypatch):
    pools.follow(lambda: None)
    # Its lock is not taken at every fork: a fork in another thread would copy it.
    monkeypatch.setattr(shutdown, "disconnect", lambda **_: pytest.fail("connected anew"))
    pools.follow(lambda: None)
    assert len(shutdown.receivers) == 1


@pytest.mark.parametrize("name", ["celery.signals", "multiprocessing.util", "billiard.util"])
def test_a_pool_that_is_not_what_we_know_keeps_nobody_from_forking(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    monkeypatch.setattr(pools, "_finishing", [])
    pools.follow_in_child(lambda: None)


def test_a_client_imports_no_pool(run_script, udp):
    done = run_script(
        """
        import os, sys
        from vitald import Client
        with Client() as client:
            client.incr("jobs")
            if not os.fork():
                os._exit(0)
            os.wait()
        print({"multiprocessing", "celery", "billiard", "threading"} & set(sys.modules))
        """
    )
    assert done.stdout == "set()\n"
    assert udp.lines() == ["jobs:1|c"]


def test_finalizers_of_a_child_that_record_are_heard(run_script, udp):
    run_script(
        """
        import multiprocessing
        from multiprocessing.util import Finalize
        from vitald import Client
        client = Client(flush_interval=3600)

        def work():
            client.incr("jobs")
            Finalize(None, client.incr, ("jobs", 10), exitpriority=0)
            Finalize(None, client.incr, ("jobs", 100), exitpriority=-100)

        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        assert child.exitcode == 0
        """
    )
    assert udp.totals().counters["jobs"] == 111


def test_an_executor_in_a_child_ends_and_is_heard(run_script, udp):
    """Its threads wait until the end of the process tells them, which comes after finalizers."""
    run_script(
        """
        import multiprocessing, time
        from concurrent.futures import ThreadPoolExecutor
        from vitald import Client
        client = Client(flush_interval=3600)

        def late():
            time.sleep(0.1)
            client.incr("jobs")

        def work():
            executor = ThreadPoolExecutor(2)
            for _ in range(4):
                executor.submit(late)

        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        assert child.exitcode == 0
        """
    )
    assert udp.totals().counters["jobs"] == 4

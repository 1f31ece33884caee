"""A Sidecar answers as a deployed one does, at once and without waiting for a window."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from calls import record_everything
from engines import ENGINES, NO_NATIVE
from in_use import new_since, threads_and_files

from vitald import Client
from vitald.errors import StartError
from vitald.testing import ANY, ManualClock, Sidecar, only
from vitald.wire.dialect import Dialect


@pytest.fixture(params=ENGINES)
def engine(request):
    if request.param == "native" and NO_NATIVE:
        pytest.fail(NO_NATIVE)
    return request.param


@pytest.fixture
def sidecar(engine):
    with Sidecar(engine=engine) as found:
        yield found


@pytest.fixture
def client(sidecar):
    return sidecar.client()


def test_a_metric_is_what_a_service_sent(sidecar, client):
    for milliseconds in range(1, 101):
        client.timing("render", milliseconds, tags={"page": "home"})
    client.incr("jobs", 3)
    client.gauge("depth", 7)
    client.set("users", "alice")
    client.set("users", "bob")
    sidecar.rotate()
    render = sidecar.metric("render")
    assert (render.type, render.tags) == ("timer", {"page": "home"})
    assert (render.count, render.sum, render.min, render.max, render.mean) == (
        100, 5050, 1, 100, 50.5,
    )  # fmt: skip
    assert render.rate == 10
    assert render.quantile(0.5) == pytest.approx(50, rel=0.02)
    assert render.quantiles[0.99] == pytest.approx(99, rel=0.02)
    assert list(render.quantiles) == [0.5, 0.9, 0.95, 0.99]
    jobs = sidecar.metric("jobs")
    assert (jobs.type, jobs.sum, jobs.rate, jobs.quantiles) == ("counter", 3, 0.3, {})
    assert jobs.quantile(0.5) is None
    assert sidecar.metric("depth").last == 7
    assert sidecar.metric("users").unique == 2


def test_it_runs_the_engine_that_was_asked_for(sidecar, engine):
    assert sidecar.engine == engine
    assert repr(sidecar) == f"<Sidecar at {sidecar.url}, engine {engine}>"


def test_who_names_an_engine_gets_it_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("VITALD_ENGINE", "nonsense")
    with Sidecar(engine="python") as sidecar:
        assert sidecar.engine == "python"
    with pytest.raises(StartError, match="VITALD_ENGINE must be"):
        Sidecar()


def test_every_call_of_a_client_is_taken(sidecar, client):
    record_everything(client)
    sidecar.rotate()
    ledger = sidecar.ledger()
    assert ledger.rejected == {}
    assert ledger.lines == ledger.aggregated > 0
    assert [event.title for event in sidecar.events] == ["deploy"]
    assert [(check.name, check.status) for check in sidecar.service_checks] == [("db", 2)]


@pytest.mark.parametrize("scheme", ["udp", "unixgram"])
def test_foreign_senders_are_received_at_both_addresses(sidecar, scheme):
    family, address = (
        (socket.AF_INET, (sidecar.host, sidecar.port))
        if scheme == "udp"
        else (socket.AF_UNIX, sidecar.path)
    )
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        for _ in range(5):
            sock.sendto(b"jobs:1|c\njobs:1|c", address)
    sidecar.rotate()
    assert sidecar.metric("jobs").sum == 10
    url = sidecar.url if scheme == "udp" else sidecar.unixgram_url
    assert sidecar.ledger().listeners[url]["datagrams"] == 5


def test_everything_that_was_sent_before_rotate_is_in_the_slot(sidecar):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for expected in range(1, 200):
            sock.sendto(b"jobs:1|c", (sidecar.host, sidecar.port))
            sidecar.rotate()
            assert sidecar.metric("jobs", window=3600).sum == expected


def test_a_clients_values_are_flushed_before_a_slot_ends_over_both_sockets(sidecar):
    clients = [sidecar.client(flush_interval=3600), sidecar.client(sidecar.url)]
    for client in clients:
        for _ in range(1000):
            client.incr("jobs")
            client.timing("render", 5)
    sidecar.rotate()
    assert sidecar.metric("jobs").sum == 2000
    assert sidecar.metric("render").count == 2000


def test_the_ledger_has_every_line_that_was_sent(sidecar, client):
    client.incr("jobs")
    assert sidecar.ledger().lines == 1
    client.incr("jobs")
    assert sidecar.ledger().lines == 2


def test_asking_for_the_ledger_changes_no_answer(sidecar, client):
    client.gauge("depth", 7)
    sidecar.ledger()
    client.gauge("depth", 2, delta=True)
    sidecar.ledger()
    client.gauge("depth", -1, delta=True)
    sidecar.rotate()
    assert sidecar.metric("depth").last == 8


def test_slots_leave_a_window_as_time_goes_on(sidecar, client):
    client.incr("jobs")
    sidecar.rotate(6)
    assert sidecar.metric("jobs", window=60).sum == 1
    client.incr("jobs")
    sidecar.rotate()
    assert sidecar.metric("jobs", window=60).sum == 1
    assert sidecar.metric("jobs", window=10).sum == 1
    assert sidecar.metric("jobs", window=300).sum == 2
    sidecar.rotate(6)
    assert sidecar.metrics("jobs", window=60) == []


def test_rotate_returns_the_interval_that_was_open(sidecar, client):
    client.incr("jobs")
    start = sidecar.clock.now().wall
    interval = sidecar.rotate(3)
    assert (interval.start, interval.end) == (start, start + 10)
    assert [row.name for batch in interval.rows() for row in batch] == ["jobs"]
    assert sidecar.clock.now().wall == start + 30


def test_rotate_ends_at_least_the_open_slot(sidecar):
    with pytest.raises(ValueError, match="cannot end 0 slots"):
        sidecar.rotate(0)


def test_it_can_be_asked_after_close(sidecar, client):
    client.incr("jobs")
    sidecar.close()
    sidecar.rotate()
    assert sidecar.metric("jobs").sum == 1
    assert sidecar.ledger().lines == 1


def test_the_clock_and_the_interval_are_the_callers(engine):
    clock = ManualClock(wall=1_000_000_000.0)
    with Sidecar(engine=engine, clock=clock, interval=1.0, windows=(1.0, 5.0)) as sidecar:
        sidecar.client().incr("jobs", 5)
        sidecar.rotate()
        assert clock.now() == (1_000_000_001.0, 1.0)
        assert sidecar.metric("jobs", window=5.0).rate == 5


def test_options_and_dialect_are_the_engines(engine):
    with Sidecar(engine=engine, series_limit=1, dialect=Dialect(gauge_sign="absolute")) as sidecar:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"depth:-5|g\nother:1|g", (sidecar.host, sidecar.port))
        sidecar.rotate()
        assert sidecar.metric("depth").last == -5
        assert sidecar.ledger().series_overflowed == 1


# Asking.


@pytest.fixture
def queues(sidecar, client):
    client.incr("jobs", 1, tags={"queue": "sms"})
    client.incr("jobs", 2, tags={"queue": "mail", "env": "test"})
    client.gauge("jobs.waiting", 3)
    client.gauge("jobs", 9)
    sidecar.rotate()
    return sidecar


def test_metrics_are_chosen_by_name_glob_type_and_tags(queues):
    def found(*arguments, **options):
        return [str(one) for one in queues.metrics(*arguments, **options)]

    assert found() == found("jobs*") == [
        "gauge jobs",
        "counter jobs{env=test, queue=mail}",
        "counter jobs{queue=sms}",
        "gauge jobs.waiting",
    ]  # fmt: skip
    assert found("jobs", type="counter") == [
        "counter jobs{env=test, queue=mail}",
        "counter jobs{queue=sms}",
    ]
    assert found(tags={"queue": ANY, "env": ANY}) == ["counter jobs{env=test, queue=mail}"]
    assert found("none") == []


def test_a_metric_is_the_one_with_these_tags(queues):
    assert queues.metric("jobs", tags={"queue": "mail"}).sum == 2
    assert queues.metric("jobs", tags=only({"queue": "sms"})).sum == 1
    assert queues.metric("jobs", type="gauge").last == 9


def test_a_type_that_does_not_exist_is_an_error(queues):
    with pytest.raises(ValueError, match="cannot look for type 'event': it is none of counter, "):
        queues.metrics(type="event")
    with pytest.raises(ValueError, match="cannot look for type 'c'"):
        queues.metric("jobs", type="c")


def test_several_metrics_are_a_failure_that_names_them(queues):
    with pytest.raises(AssertionError) as caught:
        queues.metric("jobs", type="counter")
    assert str(caught.value) == (
        "expected one counter jobs, and found several:\n"
        "  counter jobs{env=test, queue=mail}\n"
        "  counter jobs{queue=sms}"
    )


def test_a_metric_that_is_not_there_is_a_failure_that_names_all_that_are(queues):
    with pytest.raises(AssertionError) as caught:
        queues.metric("job", tags={"queue": "fax"})
    assert str(caught.value) == (
        "expected metric job{queue=fax} over 60 s, and found\n"
        "  gauge jobs\n"
        "  counter jobs{env=test, queue=mail}\n"
        "  counter jobs{queue=sms}\n"
        "  gauge jobs.waiting"
    )


def test_a_client_accounts_for_its_lines_when_it_is_asked_to(sidecar):
    sidecar.client().incr("jobs")
    sidecar.client(accounting=True).incr("jobs")
    sidecar.rotate()
    assert sidecar.metric("jobs").sum == 2
    assert sum(one.sum for one in sidecar.metrics("vitald.client.received")) == 1


def test_a_value_of_a_given_time_is_counted_at_that_time(sidecar, client):
    sidecar.rotate(6)
    client.incr("jobs", 3, timestamp=sidecar.clock.now().wall - 30)
    sidecar.rotate()
    assert sidecar.metrics("jobs", window=10) == []
    assert sidecar.metric("jobs", window=60).sum == 3


def test_a_forgotten_rotate_and_rejected_lines_are_said(sidecar, client):
    client.incr("jobs")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"jobs:x|c", (sidecar.host, sidecar.port))
    with pytest.raises(AssertionError) as caught:
        sidecar.metric("jobs")
    assert str(caught.value) == (
        "expected metric jobs over 60 s, and found none at all\n"
        "2 lines arrived since the last rotate()\n"
        "rejected as bad_value: jobs:x|c"
    )


# Waiting for others.


def test_wait_for_waits_for_a_process_by_the_ledger(sidecar):
    script = "from vitald import Client; c = Client(); c.incr('jobs', 4); c.gauge('depth', 2)"
    environment = {**os.environ, "VITALD_URL": sidecar.unixgram_url}
    with subprocess.Popen([sys.executable, "-c", script], env=environment):
        sidecar.wait_for(lines=2)
    sidecar.rotate()
    assert sidecar.metric("jobs").sum == 4


def test_wait_for_returns_at_once_what_is_there(sidecar, client):
    client.incr("jobs")
    start = time.monotonic()
    assert sidecar.wait_for(lines=1).lines == 1
    assert time.monotonic() - start < 5


def test_wait_for_fails_with_what_came(sidecar, client):
    client.incr("jobs")
    with pytest.raises(AssertionError, match=r"^expected 3 lines, and received 1 in 0.05 s$"):
        sidecar.wait_for(lines=3, timeout=0.05)


def test_wait_for_fails_in_frozen_time(sidecar, monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        assert sum(pauses) < 100, "it waits for ever"

    frozen = SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep)
    monkeypatch.setattr("vitald.testing.sidecar.time", frozen)
    with pytest.raises(AssertionError, match=r"^expected 1 lines, and received 0 in 5 s$"):
        sidecar.wait_for(lines=1, timeout=5)
    assert 5 <= sum(pauses) < 5.1


def test_a_child_of_a_fork_is_received_and_leaves_its_parents_sidecar_alone(sidecar, client):
    client.incr("jobs")
    child = os.fork()
    if child == 0:
        client.incr("jobs")
        client.flush()
        sidecar.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sidecar.rotate()
    assert sidecar.metric("jobs").sum == 2
    assert Path(sidecar.path).exists()


# What it takes from the machine.


def test_nothing_is_left_behind(engine):
    with Sidecar(engine=engine):  # what is loaded once is loaded now
        pass
    before = threads_and_files()
    sidecar = Sidecar(engine=engine)
    sidecar.client().incr("jobs")
    sidecar.rotate()
    sidecar.close()
    sidecar.close()
    assert new_since(before) == []
    assert not Path(sidecar.path).parent.exists()


def test_two_sidecars_have_nothing_in_common(engine):
    with Sidecar(engine=engine) as one, Sidecar(engine=engine) as other:
        one.client().incr("jobs")
        one.rotate()
        other.rotate()
        assert one.metric("jobs").sum == 1
        assert other.metrics() == []


def test_a_deep_temporary_directory_does_not_matter(engine, tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with Sidecar(engine=engine) as sidecar:
        sidecar.client().incr("jobs")
        sidecar.rotate()
        assert sidecar.metric("jobs").sum == 1
    assert list(deep.iterdir()) == []


def test_it_may_be_asked_while_threads_send(sidecar):
    stop = threading.Event()

    def send():
        client = Client(sidecar.unixgram_url, flush_interval=0.01, prefix="")
        while not stop.is_set():
            client.incr("jobs")
        client.close()

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        sidecar.rotate()
        sidecar.metrics()
    stop.set()
    for thread in threads:
        thread.join()
    ledger = sidecar.ledger()
    assert ledger.rejected == {}
    assert ledger.lines == ledger.aggregated


def test_the_environment_is_not_looked_at_by_its_clients(sidecar, monkeypatch):
    monkeypatch.setenv("STATSD_PREFIX", "live")
    sidecar.client().incr("jobs")
    sidecar.rotate()
    assert sidecar.metric("jobs").sum == 1


def test_only_the_base_install_is_needed():
    script = (
        "import sys\n"
        "from vitald.testing import Sidecar\n"
        "with Sidecar() as s:\n"
        "    c = s.client(); c.incr('jobs'); s.rotate(); s.metric('jobs')\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    extras = {"aiohttp", "click", "cramjam", "docker", "psutil", "pydantic", "yaml", "rich"}
    assert not extras & set(done.stdout.split())

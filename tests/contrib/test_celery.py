from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timezone

import pytest
from inbox import open_inbox

pytest.importorskip("celery")

from celery import Celery
from celery.exceptions import Ignore, Reject

from vitald.contrib.celery import _seconds_waited, instrument


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def app():
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    yield app
    app.close()


@pytest.fixture
def watch(inbox):
    """Instrument apps; disconnect them after the test."""
    connected = []

    def connect(app=None):
        connected.append(instrument(app, inbox.client))
        return connected[-1]

    yield connect
    for one in connected:
        one.stop()


def tasks(inbox):
    """Return the number of runs by task and state."""
    found = {}
    for key, count in inbox.read().counters.items():
        tags = dict(tag.split(":", 1) for tag in key.partition("#")[2].split(","))
        found[tags["task"], tags["state"]] = count
    return found


def test_eager_tasks_are_counted_and_timed(inbox, app, watch):
    @app.task(name="add")
    def add(a, b):
        return a + b

    watch(app)
    assert add.delay(1, 2).get() == 3
    assert add.delay(2, 2).get() == 4
    assert tasks(inbox) == {("add", "success"): 2}
    durations = inbox.samples["celery_task_duration_seconds#state:success,task:add"]
    assert len(durations) == 2
    assert all(0 < duration < 10 for duration in durations)


def test_every_outcome_of_a_run_has_its_state(inbox, app, watch):
    @app.task(name="fail")
    def fail():
        raise ValueError

    @app.task(name="reject")
    def reject():
        raise Reject

    @app.task(name="ignore")
    def ignore():
        raise Ignore

    @app.task(name="again", bind=True, max_retries=2)
    def again(self):
        if self.request.retries < 2:
            raise self.retry(countdown=0)

    watch(app)
    for task in (fail, reject, ignore, again):
        task.delay()
    assert tasks(inbox) == {
        ("fail", "failure"): 1,
        ("reject", "rejected"): 1,
        ("ignore", "ignored"): 1,
        ("again", "retry"): 2,
        ("again", "success"): 1,
    }


def test_an_eager_failure_that_propagates_is_a_failure(inbox, app, watch):
    app.conf.task_eager_propagates = True

    @app.task(name="fail")
    def fail():
        raise ValueError("of the task")

    watch(app)
    with pytest.raises(ValueError, match="of the task"):
        fail.delay()
    assert tasks(inbox) == {("fail", "failure"): 1}


def test_a_task_within_a_task_is_timed_on_its_own(inbox, app, watch):
    @app.task(name="inner")
    def inner():
        pass

    @app.task(name="outer")
    def outer():
        inner.delay()

    watch(app)
    outer.delay()
    assert tasks(inbox) == {("inner", "success"): 1, ("outer", "success"): 1}
    (within,) = inbox.samples["celery_task_duration_seconds#state:success,task:inner"]
    (around,) = inbox.samples["celery_task_duration_seconds#state:success,task:outer"]
    assert within < around


def test_only_the_apps_own_tasks_are_counted(inbox, app, watch):
    other = Celery("other", broker="memory://", set_as_current=False)
    other.conf.task_always_eager = True

    @app.task(name="ours")
    def ours():
        pass

    @other.task(name="theirs")
    def theirs():
        pass

    watch(app)
    ours.delay()
    theirs.delay()
    assert tasks(inbox) == {("ours", "success"): 1}
    watch()
    theirs.delay()
    assert tasks(inbox)["theirs", "success"] == 1
    other.close()


def test_instrumenting_twice_counts_once(inbox, app, watch):
    @app.task(name="add")
    def add():
        pass

    watch(app)
    watch(app)
    add.delay()
    assert tasks(inbox) == {("add", "success"): 1}


def test_instrumenting_twice_for_the_environment_counts_once(inbox, app, monkeypatch):
    monkeypatch.setenv("VITALD_URL", inbox.url)

    @app.task(name="add")
    def add():
        pass

    first, second = instrument(app), instrument(app)
    add.delay()
    for one in (first, second):
        one.stop()
        one._client.close()
    assert tasks(inbox) == {("add", "success"): 1}


def test_nothing_is_counted_after_stop(inbox, app, watch):
    @app.task(name="add")
    def add():
        pass

    watch(app).stop()
    add.delay()
    assert tasks(inbox) == {}


def test_handles_do_not_pile_up_with_made_up_names(inbox, watch):
    one = watch()
    for number in range(5000):
        one._handles(f"task{number}", "success")
    assert len(one._ended) <= 4000


class Request:
    def __init__(self, eta=None):
        self.eta = eta


@pytest.mark.parametrize("published", ["soon", None, float("nan"), 4e9, {}, 10**400])
def test_a_publishing_time_that_cannot_be_is_unknown(published):
    assert _seconds_waited(Request(), published) is None


@pytest.mark.parametrize("eta", ["soon", "2020-01-01T00:00:00", "2999-01-01T00:00:00+00:00", 5])
def test_an_eta_that_cannot_be_read_or_is_not_reached_makes_the_wait_unknown(eta):
    assert _seconds_waited(Request(eta), time.time()) is None


def test_the_wait_begins_with_the_later_of_publishing_and_eta():
    now = time.time()
    an_hour_ago = datetime.fromtimestamp(now - 3600, timezone.utc).isoformat()
    assert 3600 <= _seconds_waited(Request(an_hour_ago), now - 7200) < 3660
    assert 60 <= _seconds_waited(Request(an_hour_ago), now - 60) < 120


# A worker that publishes to itself, by a broker in its main process.
WORKER = """
import os, signal, time
from celery import Celery
from celery.exceptions import Reject
from celery.signals import worker_ready
from vitald import Client
from vitald.contrib.celery import instrument

app = Celery("shop", broker="memory://")
app.conf.update(
    broker_transport_options={"polling_interval": 0.02},
    worker_hijack_root_logger=False,
    worker_lost_wait=0.5,
    worker_prefetch_multiplier=64,
)
instrument(app, Client(flush_interval=0.05))

@app.task(name="add")
def add(a, b):
    return a + b

@app.task(name="fail")
def fail():
    raise ValueError("on purpose")

@app.task(name="again", bind=True, max_retries=1)
def again(self):
    if not self.request.retries:
        raise self.retry(countdown=0)

@app.task(name="reject")
def reject():
    raise Reject("on purpose", requeue=False)

@app.task(name="die")
def die():
    os.kill(os.getpid(), signal.SIGKILL)

@app.task(name="hang", time_limit=1)
def hang():
    time.sleep(60)

@worker_ready.connect
def publish(**_):
    PUBLISH

app.worker_main(["worker", "--pool", "POOL", "--concurrency", "2", "--loglevel", "ERROR",
                 "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


@pytest.fixture
def run_worker(inbox):
    """Run a worker that publishes until the condition holds; end it."""

    def run(publish, condition, *, pool="prefork", end=signal.SIGTERM):
        source = WORKER.replace("POOL", pool).replace("PUBLISH", "; ".join(publish))
        worker = subprocess.Popen(
            [sys.executable, "-c", source],
            env={**os.environ, "VITALD_URL": inbox.url, "C_FORCE_ROOT": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            inbox.wait_for(lambda _: condition(tasks(inbox)))
            if end == signal.SIGTERM:
                worker.terminate()
                worker.wait(30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(30)

    return run


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_counts_what_became_of_its_tasks(inbox, run_worker, pool):
    # What a child publishes goes to a broker of its own, so that its retry stays there.
    retried = {} if pool == "prefork" else {("again", "success"): 1}
    run_worker(
        [
            "[add.delay(1, number) for number in range(100)]",
            "fail.delay()",
            "again.delay()",
            "reject.delay()",
            "add.apply_async((1, 1), expires=-10)",
            "app.send_task('of somebody else')",
        ],
        lambda found: sum(found.values()) >= 105 + len(retried),
        pool=pool,
    )
    assert tasks(inbox) == {
        ("add", "success"): 100,
        ("fail", "failure"): 1,
        ("again", "retry"): 1,
        ("reject", "rejected"): 1,
        ("add", "revoked"): 1,
        ("unknown", "rejected"): 1,
        **retried,
    }
    assert len(inbox.samples["celery_task_duration_seconds#state:success,task:add"]) == 100
    assert len(inbox.samples["celery_task_queue_seconds#task:add"]) == 100
    # The retry is published anew, and waits anew.
    assert len(inbox.samples["celery_task_queue_seconds#task:again"]) == 1 + len(retried)
    assert all(0 <= wait < 30 for wait in inbox.samples["celery_task_queue_seconds#task:add"])


def test_a_countdown_is_not_waiting(inbox, run_worker):
    run_worker(
        ["add.apply_async((1, 1), countdown=2)"],
        lambda found: ("add", "success") in found,
        end=signal.SIGKILL,
    )
    (waited,) = inbox.samples["celery_task_queue_seconds#task:add"]
    assert waited < 1.5


def test_runs_that_never_end_are_failures_once(inbox, run_worker):
    run_worker(
        ["hang.delay()", "die.delay()"],
        lambda found: {("hang", "failure"), ("die", "failure")} <= found.keys(),
        end=signal.SIGKILL,
    )
    assert tasks(inbox) == {("hang", "failure"): 1, ("die", "failure"): 1}


def test_a_task_that_is_terminated_is_revoked(inbox, run_worker):
    run_worker(
        [
            "result = hang.apply_async(time_limit=50)",
            "import threading",
            "threading.Timer(1, lambda: result.revoke(terminate=True)).start()",
        ],
        lambda found: ("hang", "revoked") in found,
        end=signal.SIGKILL,
    )
    assert tasks(inbox) == {("hang", "revoked"): 1}

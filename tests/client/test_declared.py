"""Declared metrics: said once, checked where they are used, and listed."""

from __future__ import annotations

import asyncio
import enum
import inspect
import json
import os
import subprocess
import sys
import threading
from unittest import mock

import pytest

from vitald.client import declarations, declared
from vitald.client.declared import Metric, Metrics, WrongTags
from vitald.client.handles import Counter, Distribution, Gauge, Histogram, Set, Timer

HANDLES = {
    "counter": Counter,
    "gauge": Gauge,
    "timer": Timer,
    "histogram": Histogram,
    "distribution": Distribution,
    "set": Set,
}


@pytest.fixture
def metrics(client):
    return Metrics(client)


@pytest.fixture
def strict(client):
    return Metrics(client, strict=True)


@pytest.fixture
def lines(client, udp):
    def read():
        assert client.flush()
        return sorted(line for line in udp.lines() if not line.startswith("vitald."))

    return read


@pytest.fixture
def dropped(client):
    return lambda: client.stats()["dropped"].get("bad_argument", 0)


@pytest.mark.parametrize("kind", HANDLES)
def test_a_metric_with_tags_gives_the_clients_own_handle(metrics, kind):
    metric = getattr(metrics, kind)("jobs", tags=("queue",))
    assert type(metric.labels(queue="mail")) is HANDLES[kind]


def test_the_same_values_give_the_same_handle_whatever_their_order(metrics, lines):
    jobs = metrics.counter("jobs", tags=("queue", "region"))
    one = jobs.labels(queue="mail", region="eu")
    assert jobs.labels(queue="mail", region="eu") is one
    one.inc()
    jobs.labels(region="eu", queue="mail").inc(2)
    jobs.labels(region="us", queue="mail").inc(4)
    assert lines() == ["jobs:3|c|#queue:mail,region:eu", "jobs:4|c|#queue:mail,region:us"]


def test_a_metric_without_tags_is_used_as_a_handle_is(metrics, lines):
    metrics.counter("jobs").inc()
    metrics.counter("jobs").dec(3)
    level = metrics.gauge("depth")
    level.set(7)
    level.inc()
    level.dec(3)
    metrics.set("users").add("ann")
    metrics.histogram("size").record(3)
    metrics.distribution("wait").record(0.5)
    metrics.timer("render").record(1.5)
    assert lines() == [
        "depth:5|g", "jobs:-2|c", "render:1.5|ms", "size:3|h", "users:ann|s", "wait:0.5|d",
    ]  # fmt: skip


def test_its_handle_can_also_be_asked_for(metrics, lines):
    metrics.counter("jobs").labels().inc()
    assert lines() == ["jobs:1|c"]


async def test_a_declared_timer_measures_blocks_and_functions(metrics, client, udp):
    render = metrics.timer("render")

    @render
    def function(number):
        return number

    @render
    async def coroutine():
        await asyncio.sleep(0)
        return 2

    with render as handle:
        assert isinstance(handle, Timer)
    async with render:
        pass
    with pytest.raises(KeyError), render:
        raise KeyError
    assert (function(1), await coroutine()) == (1, 2)
    assert render.ms >= 0
    client.flush()
    assert len(udp.totals().samples["render"]) == 5


class Colour(str, enum.Enum):
    RED = "red"


class Hostile:
    __hash__ = None

    def __str__(self):
        raise RuntimeError("no text")


def test_equal_values_that_are_different_texts_are_different_series(metrics, lines):
    jobs = metrics.counter("jobs", tags=("n",))
    for value in (1, True, 1.0, "1", 0.0, -0.0, "red", Colour.RED, None, ["a"]):
        jobs.labels(n=value).inc()
        jobs.labels(n=value).inc()
    assert lines() == sorted(
        [
            *(f"jobs:2|c|#n:{text}" for text in ("True", "1.0", "0.0", "-0.0", "red")),
            *(f"jobs:2|c|#n:{text}" for text in ("Colour.RED", "None", "['a']")),
            "jobs:4|c|#n:1",
        ]
    )


def test_a_tag_is_sent_as_it_is_declared(metrics, lines):
    jobs = metrics.counter("jobs", tags=("red",))
    jobs.labels(**{Colour.RED: 1}).inc()
    assert lines() == ["jobs:1|c|#red:1"]


def test_a_value_without_a_text_is_counted_by_the_client(metrics, dropped):
    metrics.counter("jobs", tags=("n",)).labels(n=Hostile()).inc()
    assert dropped() == 1


def test_remembered_handles_are_bounded(metrics, monkeypatch):
    monkeypatch.setattr(declarations, "_LIMIT", 10)
    jobs = metrics.counter("jobs", tags=("n",))
    for number in range(100):
        jobs.labels(n=number).inc()
    assert len(jobs._handles) <= 10


WRONG = [
    ({}, "'queue', 'region' missing"),
    ({"queue": "mail"}, "'region' missing"),
    ({"que": "mail", "region": "eu"}, "'que' not declared; 'queue' missing"),
    ({"queue": 1, "region": 2, "user": 3}, "'user' not declared"),
]


@pytest.mark.parametrize(("tags", "cause"), WRONG)
def test_wrong_tags_are_an_error_in_strict_mode(strict, tags, cause):
    message = f"cannot record jobs: tags: {cause}"
    jobs = strict.counter("jobs", tags=("queue", "region"))
    with pytest.raises(WrongTags) as caught:
        jobs.labels(**tags)
    assert str(caught.value) == message
    assert strict.faults() == {message: 1}


@pytest.mark.parametrize(("tags", "cause"), WRONG)
def test_wrong_tags_are_counted_otherwise_and_their_values_are_dropped(
    metrics, lines, dropped, tags, cause
):
    handle = metrics.counter("jobs", tags=("queue", "region")).labels(**tags)
    handle.inc()
    handle.inc(5)
    assert lines() == []
    assert metrics.faults() == {f"cannot record jobs: tags: {cause}": 1}
    assert dropped() == 2


def test_a_metric_without_tags_takes_none(strict):
    with pytest.raises(WrongTags, match="tags: 'queue' not declared"):
        strict.counter("jobs").labels(queue="mail")


USES = [
    lambda metrics, tags: metrics.counter("m", tags=tags).inc(),
    lambda metrics, tags: metrics.counter("m", tags=tags).dec(),
    lambda metrics, tags: metrics.gauge("m", tags=tags).set(1),
    lambda metrics, tags: metrics.set("m", tags=tags).add("ann"),
    lambda metrics, tags: metrics.histogram("m", tags=tags).record(1),
    lambda metrics, tags: metrics.distribution("m", tags=tags).record(1),
    lambda metrics, tags: metrics.timer("m", tags=tags).record(1),
    lambda metrics, tags: metrics.timer("m", tags=tags).__enter__().__exit__(None, None, None),
    lambda metrics, tags: metrics.timer("m", tags=tags)(lambda: None)(),
]


@pytest.mark.parametrize("use", USES)
def test_a_metric_with_tags_that_is_used_without_is_wrong(client, lines, dropped, use):
    strict, metrics = Metrics(client, strict=True), Metrics(client)
    with pytest.raises(WrongTags, match="cannot record m: tags: 'queue' missing"):
        use(strict, ("queue",))
    use(metrics, ("queue",))
    assert metrics.faults() == {"cannot record m: tags: 'queue' missing": 1}
    assert dropped() == 1
    assert lines() == []


async def test_a_block_of_a_timer_without_its_tags_is_one_fault(metrics, dropped):
    render = metrics.timer("render", tags=("page",))
    with render:
        pass
    async with render:
        pass
    assert metrics.faults() == {"cannot record render: tags: 'page' missing": 2}
    assert dropped() == 2


@pytest.mark.parametrize("kind", HANDLES)
def test_looking_at_a_metric_is_no_misuse(client, kind):
    metrics = Metrics(client, strict=True)
    metric = getattr(metrics, kind)("jobs", tags=("queue",))
    inspect.getmembers(metric)
    inspect.getmembers(metric._handle)
    mock.create_autospec(metric)
    assert metrics.faults() == {}


def test_what_no_handle_has_is_an_attribute_error(metrics):
    with pytest.raises(AttributeError, match="'CounterMetric' object has no attribute 'observe'"):
        metrics.counter("jobs").observe(1)


def test_a_child_of_a_fork_counts_its_own_faults(metrics):
    jobs = metrics.counter("jobs")
    jobs.labels(queue="mail")
    # As if another thread read it while the process forks.
    (tally,) = metrics._tallies().values()
    with tally._lock:
        child = os.fork()
        if child == 0:
            jobs.labels(queue="mail")
            os._exit(0 if sum(metrics.faults().values()) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert sum(metrics.faults().values()) == 1


def test_the_faults_that_are_told_apart_are_bounded(metrics):
    jobs = metrics.counter("jobs")
    for number in range(500):
        jobs.labels(**{f"tag{number}": 1})
    faults = metrics.faults()
    assert len(faults) == 101
    assert faults["others"] == 400
    assert sum(faults.values()) == 500


BAD = [
    (("",), {}, "cannot declare '': no line can have that name"),
    (("a b",), {}, "cannot declare 'a b': no line can have that name"),
    ((None,), {}, "cannot declare None: no line can have that name"),
    ((Colour.RED,), {}, "no line can have that name"),
    (("jobs",), {"tags": "queue"}, "'jobs': its tags are one text: write ('queue',)"),
    (("jobs",), {"tags": ("a|b",)}, "cannot declare 'jobs': no line can have a tag 'a|b'"),
    (("jobs",), {"tags": ("",)}, "cannot declare 'jobs': no line can have a tag ''"),
    (("jobs",), {"tags": (1,)}, "cannot declare 'jobs': no line can have a tag 1"),
    (("jobs",), {"tags": ("a", "a")}, "cannot declare 'jobs': a tag is there twice"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), BAD)
def test_a_declaration_that_no_line_can_have_is_an_error(metrics, arguments, options, message):
    with pytest.raises(ValueError) as caught:
        metrics.counter(*arguments, **options)
    assert message in str(caught.value)
    assert metrics.document() == []


def test_the_same_declaration_again_is_the_same_metric(metrics):
    declared = [metrics.gauge("depth", unit="jobs", tags=["queue"]) for _ in range(2)]
    assert declared[0] is declared[1]


def test_a_different_declaration_of_a_name_is_an_error(metrics):
    metrics.counter("jobs", unit="jobs", tags=("queue",), description="Jobs.")
    again = {"unit": "jobs", "tags": ("queue",), "description": "Jobs."}
    for change, message in [
        ({"unit": "bytes"}, "its unit is 'bytes', and was 'jobs'"),
        ({"tags": ()}, "its tags is [], and was ['queue']"),
        ({"description": "x"}, "its description is 'x', and was 'Jobs.'"),
    ]:
        with pytest.raises(ValueError) as caught:
            metrics.counter("jobs", **{**again, **change})
        assert str(caught.value) == f"cannot declare 'jobs' again: {message}"
    with pytest.raises(ValueError, match="its type is 'gauge', and was 'counter'"):
        metrics.gauge("jobs", **again)
    assert len(metrics.document()) == 1


def test_threads_that_declare_the_same_get_one_metric(metrics):
    found, barrier = [], threading.Barrier(8)

    def declare():
        barrier.wait()
        found.extend(metrics.counter(f"jobs.{number}") for number in range(50))

    threads = [threading.Thread(target=declare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 50


def test_the_document_lists_every_metric(metrics):
    metrics.timer("render", description="How long\na page takes | all of it.")
    metrics.counter("jobs", unit="jobs", tags=("queue", "region"), description="Jobs taken.")
    document = metrics.document()
    assert json.loads(json.dumps(document)) == document
    assert document == [
        {
            "name": "jobs",
            "type": "counter",
            "unit": "jobs",
            "tags": ["queue", "region"],
            "description": "Jobs taken.",
        },
        {
            "name": "render",
            "type": "timer",
            "unit": "milliseconds",
            "tags": [],
            "description": "How long\na page takes | all of it.",
        },
    ]
    assert metrics.markdown().splitlines() == [
        "| metric | type | unit | tags | description |",
        "|---|---|---|---|---|",
        "| `jobs` | counter | jobs | `queue`, `region` | Jobs taken. |",
        "| `render` | timer | milliseconds |  | How long a page takes \\| all of it. |",
    ]


def test_a_metric_shows_what_it_is(metrics):
    assert repr(metrics.counter("jobs", tags=("a", "b"))) == "<CounterMetric jobs{a,b}>"


def test_every_class_of_a_metric_is_exported():
    assert {declared.CounterMetric, declared.TimerMetric} <= set(Metric.__subclasses__())
    assert {one.__name__ for one in Metric.__subclasses__()} <= set(declared.__all__)


def test_the_module_imports_nothing_that_the_client_does_not():
    script = (
        "import sys, vitald.client.client; before = set(sys.modules)\n"
        "import vitald.client.declared, vitald.client.strict; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert set(done.stdout.split()) == {
        "vitald.client.declarations", "vitald.client.declared", "vitald.client.strict",
    }  # fmt: skip

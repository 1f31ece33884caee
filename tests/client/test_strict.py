"""The client of strict `Metrics`: it records what is declared, and refuses the rest."""

from __future__ import annotations

import pytest

from vitald.client.declared import Metrics, UndeclaredMetric, WrongTags
from vitald.client.operations import Operations


@pytest.fixture
def metrics(client):
    made = Metrics(client, strict=True)
    made.counter("jobs", tags=("queue",))
    made.counter("hits")
    made.gauge("depth")
    made.set("users")
    made.timer("render")
    made.histogram("size")
    made.distribution("wait")
    return made


def test_what_is_declared_is_recorded(metrics, client, udp):
    strict = metrics.client
    strict.incr("hits")
    strict.decr("hits", 3)
    strict.incr("jobs", tags={"queue": "mail"})
    strict.incr("jobs", 2, tags=["queue:mail"])
    strict.counter("jobs", queue="mail").inc(4)
    strict.gauge("depth", 7)
    strict.gauge("depth", 1, delta=True)
    strict.set("users", "ann")
    strict.timing("render", 1.5)
    strict.histogram("size", 3)
    strict.distribution("wait", 0.5, rate=1)
    with strict.timer("render"):
        pass
    strict.event("deploy")
    strict.service_check("db", 0)
    assert strict.flush()
    totals = udp.totals()
    assert totals.counters == {"hits": -2, "jobs#queue:mail": 7}
    assert totals.gauges == {"depth": 8}
    assert len(totals.samples["render"]) == 2
    assert metrics.faults() == {}
    assert strict.stats()["dropped"] == {}


def test_the_name_may_be_a_keyword(metrics, client, udp):
    metrics.client.incr(name="hits")
    metrics.client.incr(name="jobs", tags={"queue": "mail"})
    with pytest.raises(UndeclaredMetric, match="cannot record job: it is not declared"):
        metrics.client.incr(name="job")
    with pytest.raises(TypeError, match="name"):
        metrics.client.incr()
    assert client.flush()
    assert udp.totals().counters == {"hits": 1, "jobs#queue:mail": 1}


def test_a_label_may_have_any_name(metrics, client, udp):
    metrics.counter("reads", tags=("metric",))
    metrics.client.counter("reads", metric="cpu").inc()
    assert client.flush()
    assert udp.totals().counters == {"reads#metric:cpu": 1}


def test_tags_that_can_be_read_once_are_recorded(metrics, client, udp):
    metrics.client.incr("jobs", tags=(f"queue:{name}" for name in ["mail"]))
    assert client.flush()
    assert udp.totals().counters == {"jobs#queue:mail": 1}


UNDECLARED = [
    (lambda c: c.incr("job"), "job: it is not declared"),
    (lambda c: c.decr("job"), "job: it is not declared"),
    (lambda c: c.counter("job"), "job: it is not declared"),
    (lambda c: c.timing("job", 1), "job: it is not declared"),
    (lambda c: c.timer("job"), "job: it is not declared"),
    (lambda c: c.gauge("hits", 1), "hits as a gauge: it is declared as a counter"),
    (lambda c: c.set("hits", 1), "hits as a set: it is declared as a counter"),
    (lambda c: c.incr("render"), "render as a counter: it is declared as a timer"),
    (lambda c: c.histogram("hits"), "hits as a histogram: it is declared as a counter"),
    (lambda c: c.distribution("depth"), "depth as a distribution: it is declared as a gauge"),
    (lambda c: Operations(c).task("mail"), "tasks_created_total: it is not declared"),
]


@pytest.mark.parametrize(("call", "cause"), UNDECLARED)
def test_what_is_not_declared_is_refused(metrics, call, cause):
    message = f"cannot record {cause}"
    with pytest.raises(UndeclaredMetric) as caught:
        call(metrics.client)
    assert str(caught.value) == message
    assert metrics.faults() == {message: 1}


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.incr("jobs"),
        lambda c: c.incr("jobs", tags={"que": "mail"}),
        lambda c: c.incr("jobs", tags=["queue:mail", "bare"]),
        lambda c: c.incr("hits", tags="queue:mail"),
        lambda c: c.counter("hits", queue="mail"),
        lambda c: c.counter("jobs", tags={"queue": "mail"}, region="eu"),
    ],
)
def test_wrong_tags_are_refused(metrics, call):
    with pytest.raises(WrongTags):
        call(metrics.client)


def test_without_strict_it_is_the_client_itself(client):
    assert Metrics(client).client is client


def test_it_is_one_client_and_shows_whose(metrics, client):
    assert metrics.client is metrics.client
    assert repr(metrics.client) == f"StrictClient({client!r})"


def test_leaving_its_block_closes_the_client(metrics):
    with metrics.client as strict:
        strict.incr("hits")
    strict.incr("hits")
    assert strict.stats()["dropped"] == {"closed": 1}

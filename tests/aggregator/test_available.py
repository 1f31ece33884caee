from __future__ import annotations

import pytest

from vitald.aggregator.available import Available
from vitald.aggregator.python_engine import PythonEngine
from vitald.aggregator.selector import Selector
from vitald.clock import Instant
from vitald.metric import MetricType, SeriesKey

RUNNING = SeriesKey(MetricType.GAUGE, "docker_containers_running", ())


@pytest.fixture
def engine():
    built = PythonEngine(Instant(0, 0))
    built.ingest(b"docker_containers_running:3|g\nload:1|g")
    built.rotate(Instant(10, 10))
    return built


def lasts(source, **selector):
    rows = source.query(Selector(**selector), 60).rows()
    return {row.name: row.last for batch in rows for row in batch}


def test_what_can_be_read_is_answered_as_it_is(engine):
    assert lasts(Available(engine, tuple)) == {"docker_containers_running": 3, "load": 1}


def test_a_number_that_cannot_be_read_is_shown_as_none_and_never_as_it_was(engine):
    assert lasts(Available(engine, lambda: {RUNNING})) == {
        "docker_containers_running": None,
        "load": 1,
    }


def test_a_number_that_never_could_be_read_is_shown_too(engine):
    never = RUNNING._replace(name="database_connections_active")
    assert lasts(Available(engine, lambda: {never}))["database_connections_active"] is None


def test_the_selector_holds_for_it_as_well(engine):
    assert lasts(Available(engine, lambda: {RUNNING}), names=["load"]) == {"load": 1}


def test_the_ledger_is_the_engines(engine):
    assert Available(engine, tuple).ledger() == engine.ledger()

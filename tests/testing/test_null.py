"""A NullClient takes what a Client takes; it keeps nothing and starts nothing."""

from __future__ import annotations

import asyncio
import gc
import inspect

import pytest
from calls import record_everything
from in_use import new_since, threads_and_files

from vitald import Client
from vitald.client.operations import Operations
from vitald.testing import NullClient
from vitald.testing.arguments import ClientOptions


def public_methods():
    return [
        name
        for name, member in inspect.getmembers(Client, inspect.isfunction)
        if not name.startswith("_")
    ]


@pytest.mark.parametrize("name", public_methods())
def test_every_method_has_the_signature_of_a_clients(name):
    ours, theirs = getattr(NullClient, name), getattr(Client, name)
    assert inspect.signature(ours) == inspect.signature(theirs)


def options_of_a_client():
    parameters = inspect.signature(Client).parameters.values()
    return {one.name: one.default for one in parameters if one.name != "url"}


def test_the_kit_knows_the_options_of_a_client():
    assert ClientOptions.__annotations__.keys() == options_of_a_client().keys()


@pytest.mark.parametrize("name", options_of_a_client())
def test_every_option_of_a_client_is_taken(name):
    NullClient(**{name: options_of_a_client()[name]}).incr("jobs")


def test_it_is_a_client():
    assert isinstance(NullClient(), Client)


def test_every_call_is_taken_and_nothing_is_kept():
    client = NullClient()
    record_everything(client)
    assert client.flush()
    stats = client.stats()
    assert (stats["sent"], stats["waiting"], stats["dropped"]) == (0, 0, {})


@pytest.mark.parametrize("option", [{"aggregate": False}, {"packed": False}, {"series_limit": 1}])
def test_nothing_is_kept_whatever_kind_of_client_it_stands_for(option):
    client = NullClient(**option)
    for _ in range(3):
        record_everything(client)
    stats = client.stats()
    assert (stats["sent"], stats["waiting"], stats["dropped"]) == (0, 0, {})


def test_it_starts_no_thread_and_opens_no_file():
    before = threads_and_files()
    client = NullClient()
    record_everything(client)
    client.flush()
    assert new_since(before) == []
    assert client.close()
    record_everything(client)
    assert new_since(before) == []


def test_no_memory_is_kept_for_values():
    client = NullClient()
    render, jobs = client.timer("render"), client.counter("jobs")
    render.record(1)
    jobs.inc()
    gc.collect()
    before = len(gc.get_objects())
    for number in range(20_000):
        render.record(float(number))
        jobs.inc()
        client.event("deploy", "v2")
    gc.collect()
    assert len(gc.get_objects()) - before < 100
    assert client.stats()["waiting"] == 0


def test_nobody_holds_it_to_the_end_of_the_process():
    client = NullClient()
    flusher = client._flusher
    from vitald.client import lifecycle

    assert flusher not in lifecycle._live


def test_blocks_decorators_and_operations_work_and_timers_measure():
    client = NullClient()

    @client.timer("fetch")
    async def fetch(value):
        return value

    with client.timer("render") as timer, Operations(client).task("send"):
        assert asyncio.run(fetch(3)) == 3
    assert timer.ms > 0


def test_a_wrong_target_is_as_wrong_as_for_a_client():
    with pytest.raises(ValueError, match="cannot use target"):
        NullClient("nonsense")


def test_the_environment_is_not_looked_at(monkeypatch):
    monkeypatch.setenv("VITALD_URL", "nonsense")
    assert NullClient().stats()["faults"] == []

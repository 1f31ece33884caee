"""The gate of the client: what was recorded is received, all of it, once."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import tracemalloc

import pytest
from conservation import (
    TRANSPORTS,
    Cell,
    Sink,
    covering_cells,
    every_cell,
    expected_of,
    run_service,
    tally_of,
)

# The full product, 480 processes and their children, takes some minutes.
CELLS = every_cell() if os.environ.get("VITALD_FULL_MATRIX") == "1" else covering_cells()


# More than may wait for a receiver: 4 MiB of text.
MANY = 300_000


@pytest.fixture
def sink(tmp_path):
    """Start receivers, one after the other, at the same path or on a given port."""
    sinks = []

    def start(scheme, port=0):
        sinks.append(Sink(scheme, tmp_path, port))
        return sinks[-1]

    yield start
    for one in sinks:
        one.close()


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_what_was_recorded_is_received_once(cell, sink):
    receiver = sink(cell.transport)
    plan = cell.plan()
    status, statuses, errors = run_service(plan, receiver.url)
    assert (status, statuses) == cell.statuses(), errors
    tally_of(receiver.lines()).assert_is(expected_of(plan))


def test_any_three_dimensions_meet_in_every_combination():
    def met(cells):
        return {
            tuple(zip(chosen, (getattr(cell, one) for one in chosen), strict=True))
            for cell in cells
            for chosen in itertools.combinations(Cell._fields[:-1], 3)
        }

    assert met(covering_cells()) == met(every_cell())


def assert_balanced(client, tally, *, recorded):
    """What was recorded is what arrived and what was dropped; a drop is reported, too."""
    dropped = client.stats()["dropped"]
    reported = {
        reason: tally.sums.pop(f"vitald.client.dropped|#reason:{reason}", 0) for reason in dropped
    }
    assert reported == dropped
    came_twice = [thing for thing, count in tally.things.items() if count > 1]
    assert not came_twice
    assert tally.sums.keys() == {"jobs"}
    assert len(tally.things) + tally.sums["jobs"] + sum(dropped.values()) == recorded


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_receiver_that_restarts_gets_everything_after_what_it_had(sink, make_client, transport):
    first = sink(transport)
    client = make_client(first.url)
    client.incr("jobs")
    assert client.flush(10)
    first.close()
    client.incr("jobs", 10)
    client.timing("render", 1)
    assert not client.flush(10)
    assert client.stats()["error"]
    second = sink(transport, first.port)
    client.incr("jobs", 100)
    client.timing("render", 2)
    assert client.flush(10)
    client.close()
    assert tally_of(first.read()).sums == {"jobs": 1}
    tally = tally_of(second.lines())
    assert tally.sums == {"jobs": 110}
    assert tally.things == {"render 1.0": 1, "render 2.0": 1}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_while_the_receiver_is_gone_what_folds_is_kept_and_what_is_too_much_is_counted(
    sink, make_client, transport
):
    gone = sink(transport)
    gone.close()
    client = make_client(gone.url)
    for number in range(MANY):
        client.timing("render", number + 0.123456789)
        if number % 100 == 0:
            client.incr("jobs")
        if number % 50_000 == 0:
            assert not client.flush(10)
    assert not client.flush(10)
    # Those that were let go count as waiting until the others go out in their place.
    assert client._flusher.backlog.samples < MANY <= client.stats()["waiting"]
    back = sink(transport, gone.port)
    assert client.flush(30)
    assert client.flush(30)  # with the report of what was dropped meanwhile
    client.close()
    tally = tally_of(back.lines())
    assert sum(client.stats()["dropped"].values()) > 0
    assert tally.sums["jobs"] == MANY // 100
    assert_balanced(client, tally, recorded=MANY + MANY // 100)


@pytest.mark.parametrize("aggregate", [True, False])
def test_while_the_flusher_starves_memory_is_bounded_and_drops_are_counted(
    sink, make_client, monkeypatch, aggregate
):
    """A resolver that does not answer: the flusher's thread is stuck before its first value."""
    receiver = sink("udp")
    is_asked, may_answer = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def hang(*_, **options):
        is_asked.set()
        may_answer.wait(60)
        return look_up("127.0.0.1", receiver.port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    client = make_client("udp://metrics", aggregate=aggregate)
    client.incr("jobs")
    assert not client.flush(0.01)
    assert is_asked.wait(20)
    tracemalloc.start()
    try:
        for number in range(MANY):
            client.timing("render", number + 0.123456789)
            client.incr("jobs")
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
        may_answer.set()
    assert client.flush(30)
    assert client.flush(30)
    tally = tally_of(receiver.lines())
    assert tally.sums["jobs"] == MANY + 1 or not aggregate
    assert_balanced(client, tally, recorded=2 * MANY + 1)


def test_what_waited_too_long_is_dropped_and_counted(sink, make_client):
    gone = sink("unixgram")
    gone.close()
    client = make_client(gone.url, hold=0.0)
    for number in range(1000):
        client.timing("render", number)
        client.incr("jobs")
    assert not client.flush(10)
    assert client.stats()["waiting"] == 0
    back = sink("unixgram")
    client.incr("jobs")
    assert client.flush(10)
    assert tally_of(back.lines()).sums == {
        "jobs": 1,
        "vitald.client.dropped|#reason:unreachable": 2000,
    }

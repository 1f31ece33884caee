"""No row is the cost of an error: every call and every value of ours is accepted and sent."""

from __future__ import annotations

import socket

import pytest
from benchmarks.client.clients import CALLS, CLIENTS, VITALD
from benchmarks.client.flusher import BATCH, KINDS, spend

from vitald import Client


@pytest.fixture
def port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def ours(port):
    made = CLIENTS[VITALD](port)
    yield made
    made.names["client"].close()


@pytest.mark.parametrize(
    "call", [call for call in CALLS if call.client == VITALD], ids=lambda call: call.statement
)
def test_every_call_is_accepted_and_sent(call, ours):
    exec(call.statement, dict(ours.names))
    ours.settle()
    stats = ours.names["client"].stats()
    assert stats["sent"] >= 1
    assert sum(stats["dropped"].values()) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_is_sent_by_the_flusher(kind, port):
    with Client(f"udp://127.0.0.1:{port}", flush_interval=3600) as client:
        spent = spend(client, kind, 2 * BATCH)
        stats = client.stats()
    assert (stats["sent"], sum(stats["dropped"].values())) == (2 * BATCH, 0)
    assert spent.flusher > 0

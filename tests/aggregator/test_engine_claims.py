"""Real clients, a way that loses chosen datagrams, and both engines: what is lost is found."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from engines import ENGINES

from vitald.aggregator.claims import Claims
from vitald.aggregator.documents import clients_section, dump
from vitald.client import Client
from vitald.client.claims import Claims as Claiming
from vitald.clock import Instant

STAMP = b"vitald.client.received:"


def samples_of(datagram):
    """The samples in a datagram by its own stamp; None without one."""
    stamp = datagram.rpartition(b"\n")[2]
    return int(stamp.removeprefix(STAMP).split(b"|")[0]) if stamp.startswith(STAMP) else None


class Sidecar:
    """An engine and its book, sealed by the test."""

    def __init__(self, build, start):
        # The Python engine would read when the event loop says so; here, when it is detached.
        self.engine = build(
            Instant(start, 500.0), add_reader=lambda *_: None, remove_reader=lambda *_: None
        )
        self.claims = Claims(start)
        self._start, self._slots = start, 0

    def seal(self, times=1):
        for _ in range(times):
            self._slots += 1
            end = self._start + 10.0 * self._slots
            self.engine.rotate(Instant(end, 500.0 + 10.0 * self._slots))
            self.claims.observe(self.engine, end)

    def drain(self, sock):
        self.engine.attach(sock, "udp")
        self.engine.detach(sock)

    def lost(self):
        totals = self.claims.totals()
        return totals.lost, totals.lost_datagrams


class Relay:
    """A UDP port whose datagrams are carried on to a sidecar when the test says so."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.url = f"udp://127.0.0.1:{self.sock.getsockname()[1]}"
        self.sent = [0, 0]
        self.lost = [0, 0]
        self._number = 0

    def carry(self, sidecar, lose=lambda _number, _data: False):
        """Carry what lies in the socket; `lose` is asked with a datagram's number and text."""
        while True:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            samples = samples_of(data)
            is_lost = lose(self._number, data)
            self._number += 1
            for sums in [self.sent, self.lost] if is_lost else [self.sent]:
                sums[0] += samples or 0
                sums[1] += samples is not None
            if not is_lost:
                sidecar.engine.ingest(data, label="udp")


@pytest.fixture(params=ENGINES)
def new_sidecar(request):
    def new(start=None):
        return Sidecar(ENGINES[request.param], int(time.time()) if start is None else start)

    return new


@pytest.fixture
def relay():
    found = Relay()
    yield found
    found.sock.close()


@pytest.fixture
def new_client():
    clients = []

    def new(url, **options):
        options = {"flush_interval": 3600, "accounting": True, **options}
        clients.append(Client(url, **options))
        return clients[-1]

    yield new
    for client in clients:
        client.close(timeout=5)


def work(client, rounds=200):
    for number in range(rounds):
        client.incr("jobs", tags={"queue": str(number % 40)})
        client.timing("render", number / 7)
        client.gauge("depth", number)
    assert client.flush(timeout=5)


@pytest.mark.parametrize(
    "lose",
    [
        lambda number, _: False,
        lambda number, _: True,
        lambda number, _: number == 0,
        lambda number, _: number % 3 == 1,
        lambda _, data: STAMP not in data,  # all the claims of that time
        lambda _, data: STAMP in data,
    ],
    ids=["none", "all", "the first", "each third", "the claims", "all but the claims"],
)
def test_what_was_lost_on_the_way_is_known_to_the_sample(new_sidecar, relay, new_client, lose):
    sidecar, client = new_sidecar(), new_client(relay.url)
    for _ in range(3):
        work(client)
        relay.carry(sidecar, lose)
        sidecar.seal()
    # Then the way is good again, and the next claim says it all.
    work(client)
    relay.carry(sidecar)
    sidecar.seal(2)
    (book,) = sidecar.claims.books()
    assert [book.samples.lost, book.datagrams.lost] == relay.lost
    assert [book.samples.claimed, book.datagrams.claimed] == relay.sent
    assert relay.sent[0] == client.stats()["sent"] == 4 * 600


def test_what_a_full_receive_buffer_drops_is_what_the_client_lost(new_sidecar, new_client, udp):
    sidecar, end = new_sidecar(), udp(receive_buffer=1)
    client = new_client(f"udp://127.0.0.1:{end.bound.getsockname()[1]}")
    for _ in range(20):
        work(client)
    sidecar.drain(end.bound)
    work(client, 5)
    sidecar.drain(end.bound)
    sidecar.seal(2)
    (book,) = sidecar.claims.books()
    claimed, unclaimed = book.datagrams.claimed, client.stats()["datagrams"]
    dropped = sidecar.engine.ledger().kernel_dropped
    # The kernel dropped claims too; the last one came through.
    assert dropped - (unclaimed - claimed) < book.datagrams.lost <= dropped
    assert book.samples.claimed == client.stats()["sent"]
    assert 0 < book.samples.lost == book.samples.claimed - book.samples.received


def test_an_exact_stream_is_accounted_for_as_well(new_sidecar, relay, new_client):
    sidecar, client = new_sidecar(), new_client(relay.url, aggregate=False)
    work(client)
    relay.carry(sidecar, lambda number, _: number % 2 == 0 and number < 6)
    sidecar.seal(2)
    assert list(sidecar.lost()) == relay.lost
    assert relay.lost[0] > 0


def test_without_accounting_nothing_is_said(new_sidecar, relay, new_client):
    sidecar, client = new_sidecar(), new_client(relay.url, accounting=False)
    work(client)
    relay.carry(sidecar)
    sidecar.seal()
    assert sidecar.claims.totals().clients == 0


def test_a_sidecar_that_restarts_takes_nothing_of_before_for_lost(new_sidecar, relay, new_client):
    start = int(time.time())
    sidecar, client = new_sidecar(start), new_client(relay.url)
    for _ in range(3):
        work(client)
        relay.carry(sidecar, lambda number, _: number % 4 == 0)
        sidecar.seal()
    second = new_sidecar(start + 30)
    for _ in range(3):
        work(client)
        relay.carry(second)
        second.seal()
    assert second.lost() == (0, 0)
    # What is lost now is seen: a quiet client says its claim again in the slot before.
    client.flush()
    relay.carry(second)
    relay.lost = [0, 0]
    work(client)
    relay.carry(second, lambda _, data: STAMP in data)
    second.seal(2)
    assert list(second.lost()) == relay.lost


FORKING = """
    import os, sys, time
    from vitald import Client
    client = Client(sys.argv[1], accounting=True, flush_interval=3600)
    for number in range(300):
        client.timing("render", number)
    client.flush()
    client.incr("jobs")
    if os.fork() == 0:
        for number in range(500):
            client.timing("render", number)
        client.flush()
        os._exit(0)
    os.wait()
    client.flush()
"""


def test_a_child_is_a_client_of_its_own(new_sidecar, relay):
    sidecar = new_sidecar()
    script = textwrap.dedent(FORKING)
    subprocess.run([sys.executable, "-c", script, relay.url], check=True, timeout=60)
    relay.carry(sidecar, lambda number, _: number == 2)
    sidecar.seal(2)
    books = {book.samples.claimed: book for book in sidecar.claims.books()}
    assert sorted(books) == [301, 500]
    assert books[301].client != books[500].client
    assert list(sidecar.lost()) == relay.lost
    assert relay.lost[0] > 0


def test_what_a_client_dropped_itself_stands_beside_it(new_sidecar, relay, new_client):
    sidecar, client = new_sidecar(), new_client(relay.url)
    client.timing("render", "no number")
    work(client)
    relay.carry(sidecar)
    sidecar.seal()
    (book,) = sidecar.claims.books()
    assert book.dropped == {"bad_value": 1}
    assert sidecar.engine.ledger().client_reported == {"dropped_bad_value": 1}


def named(monkeypatch, name):
    monkeypatch.setattr(sys, "argv", [name])
    return Claiming()


def test_1100_clients_are_bounded_and_the_totals_hold(new_sidecar, monkeypatch):
    sidecar = new_sidecar()
    clients = [named(monkeypatch, f"web{number}") for number in range(1100)]
    for _ in range(3):
        for number, claims in enumerate(clients):
            for is_lost in (False, number % 10 == 0):
                datagram = b"jobs:1|c\n" + claims.stamp(4)
                claims.sent(datagram, 4)
                if not is_lost:
                    sidecar.engine.ingest(datagram, label="udp")
            sidecar.engine.ingest(b"\n".join(claims.report()), label="udp")
        sidecar.seal()
    sidecar.seal()
    section = json.loads(dump(clients_section(sidecar.claims)))
    kept = {entry["client"] for entry in section["clients"]}
    losers = sum(claims.client in kept for claims in clients[::10])
    assert len(kept) == 1000
    assert section["clients_total"]["untracked"] == 0  # none of them came in the last slot
    assert section["clients_total"]["lost"] == losers * 12
    assert section["clients_total"]["claimed"] == 1000 * 24
    assert len(dump(clients_section(sidecar.claims, 10))) < 3500


def test_claims_are_series_like_any_other(new_sidecar):
    sidecar, claims = new_sidecar(), Claiming()
    datagram = b"jobs:1|c\n" + claims.stamp(4)
    claims.sent(datagram, 4)
    sidecar.engine.ingest(b"\n".join([datagram, *claims.report()]), label="udp")
    sidecar.seal()
    assert sidecar.engine.ledger().lines == 5
    assert os.getpid() == int(claims.client.split("-")[-2])

"""What a client tells the sidecar of its datagrams (see also test_claims.py)."""

from __future__ import annotations

import pytest

from vitald.client.accounts import Accounts
from vitald.client.outbox import Outbox
from vitald.client.target import parse_url
from vitald.client.transport import UdpTransport


class Ledger:
    """An accounting that notes how it is called."""

    client = "test-1-abcd"

    def __init__(self):
        self.taken, self.late, self.renewed = [], 0, 0
        self.said = 0

    def payload(self, size):
        return size - 20

    def stamp(self, samples):
        return b"stamp:%d|c" % samples if samples < 1000 else b"stamp" * 50

    def sent(self, datagram, samples):
        self.taken.append((datagram.split(b"\n")[-1], samples))

    def refused(self):
        self.late += 1

    def report(self):
        claimed = sum(samples for _, samples in self.taken)
        news, self.said = claimed - self.said, claimed
        return [b"claimed:%d|g" % claimed] if news else []

    def renew(self):
        self.renewed += 1


@pytest.fixture
def ledger(make_client, monkeypatch):
    ledger = Ledger()
    monkeypatch.setattr("vitald.client.client._accounting", lambda *_, **__: ledger)
    return ledger


def test_datagrams_are_stamped_within_their_size_and_a_pass_ends_with_its_claim(
    make_client, ledger, udp
):
    client = make_client(udp.url, datagram_size=100)
    for number in range(10):
        client.timing("render", number + 0.123456)
    client.incr("jobs", None)
    client.flush()
    lines = udp.lines()
    stamps = [int(line[6:-2]) for line in lines if line.startswith("stamp")]
    assert sum(stamps) == 10
    assert len(stamps) == len(udp.datagrams) - 2
    assert lines[-2:] == [
        "vitald.client.dropped:1|c|#client:test-1-abcd,reason:bad_value",
        "claimed:10|g",
    ]
    assert max(map(len, udp.datagrams)) <= 100
    client.flush()
    assert udp.lines() == lines


def test_a_datagram_that_is_sent_later_is_counted_when_it_is_sent(
    make_client, ledger, nobody, start_udp
):
    client = make_client(nobody)
    client.incr("jobs")
    assert not client.flush()
    assert not client.flush()
    assert ledger.taken == []
    receiver = start_udp(client.target.port)
    assert client.flush()
    assert receiver.lines() == ["jobs:1|c", "stamp:1|c", "claimed:1|g"]


def test_a_stamp_that_does_not_fit_is_left_out(make_client, ledger, udp):
    client = make_client(udp.url)
    for _ in range(1500):
        client.incr("jobs")
    client.flush()
    assert udp.lines() == ["jobs:1500|c", *["stamp" * 50 for _ in range(1)], "claimed:1500|g"]
    client.incr("x" * 1425)
    client.flush()
    assert (b"x" * 1425 + b":1|c", 1) in ledger.taken


def test_only_the_variable_of_a_sidecar_turns_the_accounting_on(make_client, monkeypatch, udp):
    asked = []
    monkeypatch.setattr("vitald.client.claims.Claims", lambda **options: asked.append(options))
    make_client(udp.url)
    monkeypatch.setenv("STATSD_HOST", "127.0.0.1")
    make_client()
    assert asked == []
    make_client(udp.url, accounting=True)
    assert asked == [{"quiet": 0.0}]
    monkeypatch.setenv("VITALD_URL", udp.url)
    make_client(accounting=False)
    make_client(udp.url)
    assert len(asked) == 1
    make_client()
    assert asked[1]["quiet"] > 0
    monkeypatch.setenv("VITALD_URL", "nonsense")
    make_client()
    assert len(asked) == 2


def test_the_books_begin_anew_when_the_name_leads_to_another_address(udp):
    class Moving(UdpTransport):
        def prepare(self):
            super().prepare()
            self.moves += 1

    transport = Moving(parse_url(udp.url))
    outbox = Outbox(transport, Accounts(), size=1432, hold=60.0, accounting=Ledger())
    outbox.open()
    outbox.open()
    transport.close()
    assert outbox._accounting.renewed == 2

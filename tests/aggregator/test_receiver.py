"""Draining a socket for the last time: bounded, whatever a sender goes on with."""

from __future__ import annotations

import itertools
import socket

import pytest

from vitald.aggregator.accounts import Traffic
from vitald.aggregator.receiver import BUDGET, Receiver


@pytest.fixture
def pair(udp):
    both = udp(receive_buffer=1 << 20)
    return both.bound, both.sender


def receiver(sock, take):
    return Receiver(sock, Traffic(), take, {})


def test_a_last_drain_takes_all_that_waits(pair):
    receiving, sending = pair
    taken = []
    draining = receiver(receiving, lambda data, _cut: taken.append(data))
    for number in range(BUDGET + 10):
        sending.send(b"%d" % number)
    draining.drain_all()
    assert b"\n".join(taken).split(b"\n") == [b"%d" % number for number in range(BUDGET + 10)]


def test_a_last_drain_ends_after_as_much_as_the_socket_may_hold(pair):
    receiving, sending = pair
    sent = itertools.count(1)

    def go_on(_data, _cut):
        for _ in range(BUDGET):
            sending.send(b"x" * 100)
            next(sent)

    sending.send(b"x")
    draining = receiver(receiving, go_on)
    room = receiving.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    draining.drain_all(clock=lambda: 0.0)
    assert next(sent) * 100 < room + 3 * BUDGET * 100


def test_a_last_drain_ends_after_a_second_of_slow_lines(pair):
    receiving, sending = pair
    taken = []

    def go_on(data, _cut):
        taken.append(data)
        sending.send(b"slow")

    sending.send(b"slow")
    times = iter([0.0, 0.4, 0.8, 1.2])
    receiver(receiving, go_on).drain_all(clock=lambda: next(times))
    assert len(taken) == 2

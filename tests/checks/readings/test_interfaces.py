from __future__ import annotations

import socket

import psutil
import pytest

from vitald.checks.readings.interfaces import (
    InterfaceSample,
    Traffic,
    interfaces_between,
    sample_interfaces,
)

LOOPBACK = next(iter({"lo", "lo0"} & set(psutil.net_if_stats())), None)


def test_rates_are_differences_per_second():
    before = {"eth0": InterfaceSample(True, 10**9, 1000, 2000, 10, 20, 1, 2)}
    after = {"eth0": InterfaceSample(True, 10**9, 3000, 6000, 30, 60, 2, 12)}
    assert interfaces_between(before, after, 2.0) == {
        "eth0": Traffic(True, 10**9, 1000.0, 2000.0, 10.0, 20.0, 0.5, 5.0)
    }


def test_an_interface_that_is_new_or_was_made_again_has_no_rates():
    old = InterfaceSample(True, None, 5, 5, 5, 5, 5, 5)
    new = InterfaceSample(False, None, 1, 1, 1, 1, 1, 1)
    nothing = Traffic(False, None, *[None] * 6)
    assert interfaces_between({}, {"veth1": new}, 1.0) == {"veth1": nothing}
    assert interfaces_between({"veth1": old}, {"veth1": new}, 1.0) == {"veth1": nothing}


@pytest.mark.skipif(LOOPBACK is None, reason="no loopback interface")
def test_what_is_sent_over_loopback_shows_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        before = sample_interfaces()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20):
                sender.sendto(b"x" * 50_000, receiver.getsockname())
        after = sample_interfaces()
    rates = interfaces_between(before, after, 1.0)[LOOPBACK]
    assert rates.up
    assert rates.transmit_bytes >= 1_000_000
    assert rates.receive_bytes >= 1_000_000
    assert rates.transmit_packets >= 20

"""The 85 tests inside the `statsd` wheel, run against our subclasses.

They look the three client classes up in their own module when they run, so rebinding the names
there is all it takes.
"""

from __future__ import annotations

import pytest
import statsd.tests as upstream

from vitald.client import StatsClient, TCPStatsClient, UnixSocketStatsClient

upstream.StatsClient = StatsClient
upstream.TCPStatsClient = TCPStatsClient
upstream.UnixSocketStatsClient = UnixSocketStatsClient

# Their clients are given mocks for sockets and dropped.
pytestmark = pytest.mark.filterwarnings("ignore")

tests = {name: test for name, test in vars(upstream).items() if name.startswith("test_")}
# Skips itself, on every machine; its body is below.
skipping = tests.pop("test_ipv6_resolution_udp")
globals().update(tests)


def test_all_of_them_are_here():
    assert len(tests) + 1 == 85


def test_localhost_is_the_ipv6_loopback_when_asked_for_ipv6():
    client = upstream._udp_client(addr="localhost", ipv6=True)
    upstream._test_resolution(client, "udp", ("::1", 8125, 0, 0))

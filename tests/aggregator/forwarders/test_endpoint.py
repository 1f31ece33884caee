from __future__ import annotations

import pytest

from vitald.aggregator.forwarders.endpoint import parse_endpoint

PORTS = {"tcp": 2003, "unixgram": None}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("tcp://graphite", "tcp://graphite:2003"),
        ("tcp://graphite:99/", "tcp://graphite:99"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
        ("unixgram:///run/a.sock", "unixgram:///run/a.sock"),
    ],
)
def test_good_urls(url, shown):
    assert str(parse_endpoint(url, PORTS)) == shown


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("graphite:2003", "it must start with tcp://, unixgram://"),
        ("udp://graphite", "it must start with tcp://, unixgram://"),
        ("tcp://", "it must be tcp://host:port"),
        ("tcp://graphite:99999", "Port out of range"),
        ("tcp://graphite:x", "Port could not be cast"),
        ("tcp://graphite/path", "it must be tcp://host:port"),
        ("tcp://user@graphite", "only a scheme and an address"),
        ("tcp://graphite?x=1", "only a scheme and an address"),
        ("tcp://a..b", "cannot use"),
        ("tcp://[::1", "cannot use"),
        ("unixgram://relative", "it must be unixgram:///absolute/path"),
        ("unixgram://host/path", "it must be unixgram:///absolute/path"),
        ("unixgram:///" + "x" * 200, "at most 107 bytes"),
    ],
)
def test_bad_urls_say_why(url, cause):
    with pytest.raises(ValueError, match="cannot use") as caught:
        parse_endpoint(url, PORTS)
    assert cause in str(caught.value)

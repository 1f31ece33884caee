from __future__ import annotations

import pytest

from vitald.client import Client
from vitald.client.target import from_environment, parse_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("udp://10.0.0.1:9125", "udp://10.0.0.1:9125"),
        ("udp://statsd", "udp://statsd:8125"),
        ("udp://[::1]:1", "udp://[::1]:1"),
        ("udp://[fe80::1]", "udp://[fe80::1]:8125"),
        ("tcp://host:2/", "tcp://host:2"),
        ("unixgram:///run/x.sock", "unixgram:///run/x.sock"),
        ("unix:///run/x.sock", "unix:///run/x.sock"),
    ],
)
def test_a_url_names_a_target(url, shown):
    assert str(parse_url(url)) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8125",
        "http://localhost",
        "udp://",
        "udp://:8125",
        "udp://h:0",
        "udp://h:65536",
        "udp://h:99999999999999999999",
        "udp://h:١٢",
        "udp://h:12x",
        "udp://[::1",
        "udp://[::1]8125",
        "udp://h/path",
        "udp://u@h",
        "unix://relative",
        "unixgram://",
        "unixgram:///" + "x" * 107,
        "unixgram:///a\0b",
    ],
)
def test_a_wrong_url_is_refused_by_its_name(url):
    with pytest.raises(ValueError, match="cannot use target") as caught:
        parse_url(url)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, "udp://localhost:8125"),
        ({"DD_AGENT_HOST": "agent"}, "udp://agent:8125"),
        ({"DD_AGENT_HOST": "agent", "DD_DOGSTATSD_PORT": "1"}, "udp://agent:1"),
        ({"DD_DOGSTATSD_PORT": "1"}, "udp://localhost:1"),
        ({"DD_DOGSTATSD_URL": "udp://d:2", "DD_AGENT_HOST": "agent"}, "udp://d:2"),
        ({"DD_DOGSTATSD_URL": "unix:///d.sock"}, "unixgram:///d.sock"),
        ({"DD_DOGSTATSD_URL": "unixstream:///d.sock"}, "unix:///d.sock"),
        ({"STATSD_PORT": "3", "DD_DOGSTATSD_URL": "udp://d:2"}, "udp://localhost:3"),
        ({"STATSD_HOST": "::1", "STATSD_PORT": "3"}, "udp://[::1]:3"),
        ({"VITALD_URL": "tcp://v:4", "STATSD_HOST": "s"}, "tcp://v:4"),
    ],
)
def test_the_environment_is_read_in_the_promised_order(environment, shown):
    target, faults = from_environment(environment)
    assert str(target) == shown
    assert faults == []


def test_a_wrong_variable_is_named_and_skipped():
    target, faults = from_environment({"VITALD_URL": "nonsense", "STATSD_PORT": "x"})
    assert str(target) == "udp://localhost:8125"
    assert [fault.split(":")[0] for fault in faults] == [
        "VITALD_URL",
        "STATSD_HOST and STATSD_PORT",
    ]


def test_a_client_starts_in_a_wrong_environment_and_says_what_is_wrong(monkeypatch):
    monkeypatch.setenv("VITALD_URL", "udp://h:port")
    with Client() as client:
        assert "'port' is no port" in client.stats()["faults"][0]


def test_arguments_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("VITALD_URL", "udp://env:1")
    monkeypatch.setenv("STATSD_PREFIX", "env")
    with Client("unix:///x.sock") as client:
        assert str(client.target) == "unix:///x.sock"
    with Client(host="h", port=7) as client:
        assert str(client.target) == "udp://h:7"
    with Client(port=7) as client:
        assert str(client.target) == "udp://localhost:7"
    with Client() as client:
        assert repr(client) == "Client('udp://env:1')"


def test_arguments_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="host or port is given beside it"):
        Client("udp://h", port=1)

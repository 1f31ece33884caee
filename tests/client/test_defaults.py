"""Clients made from settings: the same names as `statsd.defaults`, and no setting that kills."""

from __future__ import annotations

import errno
import importlib
import socket
import threading

import pytest
import statsd.defaults
import statsd.defaults.env as their_env

from vitald.client import StatsClient, defaults

NAMES = ("STATSD_HOST", "STATSD_PORT", "STATSD_PREFIX", "STATSD_MAXUDPSIZE", "STATSD_IPV6")


@pytest.fixture
def env(monkeypatch):
    """Import the module anew, under the given variables."""

    def load(**variables):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(f"STATSD_{name}", value)
        from vitald.client.defaults import env

        vars(env).pop("statsd", None)
        return importlib.reload(env)

    yield load
    from vitald.client.defaults import env

    if client := vars(env).pop("statsd", None):
        client.close()


def test_it_has_the_defaults_of_statsd():
    names = ("HOST", "PORT", "PREFIX", "MAXUDPSIZE", "IPV6")
    expected = [getattr(statsd.defaults, name) for name in names]
    assert [getattr(defaults, name) for name in names] == expected


def test_the_environment_says_where_to_send_and_under_which_prefix(env, udp):
    host, port = udp.sock.getsockname()
    module = env(HOST=host, PORT=str(port), PREFIX="shop", MAXUDPSIZE="1432", IPV6="0")
    client = module.statsd
    assert type(client) is StatsClient
    assert client._maxudpsize == 1432
    client.incr("jobs")
    assert udp.lines() == ["shop.jobs:1|c"]
    assert module.faults == []


def test_without_variables_it_is_the_client_that_statsd_makes(env):
    ours = env().statsd
    theirs = their_env.StatsClient()
    assert (ours._addr, ours._prefix, ours._maxudpsize) == (
        theirs._addr, theirs._prefix, theirs._maxudpsize,
    )  # fmt: skip
    theirs.close()


@pytest.mark.parametrize("text", ["1", "true", "Yes", " on "])
def test_ipv6_is_switched_on_by_what_people_write(env, text):
    assert env(IPV6=text).statsd._addr[:2] == ("::1", 8125)


def test_the_client_is_made_at_its_first_use_and_kept(env, monkeypatch):
    made = []
    real = defaults.make_client
    monkeypatch.setattr(defaults, "make_client", lambda read: made.append(1) or real(read))
    module = env()
    assert made == []
    assert module.statsd is module.statsd
    assert made == [1]


def test_threads_that_ask_at_once_get_one_client_and_one_list_of_faults(env, monkeypatch):
    barrier, made, found = threading.Barrier(8), [], []
    real = defaults.make_client

    def make(read):
        barrier.wait(20)
        made.append(real(read)[0])
        return made[-1], ["fault"]

    monkeypatch.setattr(defaults, "make_client", make)
    module = env()
    threads = [threading.Thread(target=lambda: found.append(module.statsd)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(map(id, found)) == {id(module.statsd)}
    assert [client for client in made if client._sock is not None] == [module.statsd]
    assert module.faults == ["fault"]


BAD = [
    ("PORT", "http", "cannot use STATSD_PORT: 'http' is no whole number; 8125 is used"),
    ("PORT", "70000", "cannot use STATSD_PORT: '70000' is no port; 8125 is used"),
    ("MAXUDPSIZE", "-1", "cannot use STATSD_MAXUDPSIZE: '-1' is no size of a packet; 512 is used"),
    ("IPV6", "maybe", "cannot use STATSD_IPV6: 'maybe' is neither true nor false; False is used"),
]


@pytest.mark.parametrize(("name", "value", "fault"), BAD)
def test_a_wrong_variable_is_a_fault_and_its_default_holds(env, caplog, name, value, fault):
    module = env(**{name: value, "PREFIX": "shop"})
    client = module.statsd
    assert (client._addr, client._prefix, client._maxudpsize) == (("127.0.0.1", 8125), "shop", 512)
    assert module.faults == [fault]
    assert [record.getMessage() for record in caplog.records] == [fault]


def test_an_empty_variable_is_none(env):
    module = env(HOST="", PORT="", PREFIX="", MAXUDPSIZE="", IPV6="")
    assert module.statsd._addr == ("127.0.0.1", 8125)
    assert module.faults == []


@pytest.mark.parametrize("host", ["no such host", "é" * 100, "a\0b"])
def test_a_host_that_is_none_kills_nothing(host, monkeypatch):
    monkeypatch.setattr("vitald.client.dropin.start_new_thread", lambda *_: None)
    client, faults = defaults.make_client({"STATSD_HOST": host}.get)
    client.incr("jobs")
    client.close()
    assert faults == []
    assert client.dropped == 1


def test_a_kernel_without_ipv6_is_a_fault(monkeypatch):
    real = socket.socket

    def make(family, *arguments):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *arguments)

    monkeypatch.setattr(socket, "socket", make)
    client, faults = defaults.make_client({"STATSD_IPV6": True}.get)
    assert client._addr == ("127.0.0.1", 8125)
    assert len(faults) == 1
    assert faults[0].startswith("cannot use STATSD_IPV6: [Errno 97]")
    client.close()


def test_a_setting_that_cannot_even_be_read_is_a_fault():
    def read(name):
        if name == "STATSD_PREFIX":
            raise LookupError("not configured")
        return {"STATSD_PORT": 9125, "STATSD_MAXUDPSIZE": 1000.5}.get(name)

    client, faults = defaults.make_client(read)
    assert client._addr == ("127.0.0.1", 9125)
    assert faults == [
        "cannot use STATSD_PREFIX: not configured; None is used",
        "cannot use STATSD_MAXUDPSIZE: 1000.5 is no whole number; 512 is used",
    ]
    client.close()


def test_a_name_that_is_not_there_is_an_attribute_error(env):
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        env().nothing  # noqa: B018  the look-up is the test

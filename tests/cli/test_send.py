"""`vitald send`: one value over a real socket, or a clear word that nobody took it."""

from __future__ import annotations

import socket
import threading

import pytest


@pytest.fixture
def udp():
    """Listen on a free UDP port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        yield listener


@pytest.fixture
def send(vitald, udp):
    """Send to the UDP listener and return what arrived."""
    host, port = udp.getsockname()

    def sent(*arguments):
        run = vitald("send", *arguments, "--to", f"udp://{host}:{port}")
        assert run == (0, "", "")
        return udp.recv(65536)

    return sent


@pytest.mark.parametrize(
    ("arguments", "packet"),
    [
        (["c", "jobs", "1"], b"jobs:1|c"),
        (["c", "jobs", "+3"], b"jobs:3|c"),
        (["c", "jobs", "-2"], b"jobs:-2|c"),
        (["c", "jobs", "2.50"], b"jobs:2.5|c"),
        (["c", "jobs", "9007199254740993"], b"jobs:9007199254740993|c"),
        (["c", "jobs", "1", "--rate", "0.1"], b"jobs:1|c|@0.1"),
        (["c", "jobs", "1", "-l", "queue=mail", "-l", "slow"], b"jobs:1|c|#queue:mail,slow"),
        (["g", "depth", "7"], b"depth:7|g"),
        (["g", "depth", "+7"], b"depth:7|g"),
        (["g", "depth", "-7"], b"depth:0|g\ndepth:-7|g"),
        (["g", "depth", "7", "--delta"], b"depth:+7|g"),
        (["g", "depth", "-7", "--delta"], b"depth:-7|g"),
        (["ms", "render", "12.5"], b"render:12.5|ms"),
        (["h", "size", "1e3"], b"size:1000|h"),
        (["d", "took", ".5"], b"took:0.5|d"),
        (["s", "users", "a:b@c"], b"users:a:b@c|s"),
        (["s", "users", "-1"], b"users:-1|s"),
        (["c", "größe", "1"], "größe:1|c".encode()),
    ],
)
def test_a_value_becomes_one_datagram(send, arguments, packet):
    assert send(*arguments) == packet


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "jobs", "1"], "'x'"),
        (["c", "jobs"], "missing argument"),
        (["c", "jobs", "many"], "'many' is no number"),
        (["c", "jobs", "1_000"], "'1_000' is no number"),
        (["c", "jobs", "nan"], "'nan' is no number"),
        (["c", "jobs", "1|c"], "is no number"),
        (["g", "depth", "--5"], "is no number"),
        (["c", "", "1"], "the name is empty"),
        (["c", "a:b", "1"], "is no name"),
        (["c", "a\nb:1|c", "1"], "is no name"),
        (["s", "users", "a|b"], "is no member of a set"),
        (["c", "jobs", "1", "-l", "a|b=c"], "is no tag"),
        (["c", "jobs", "1", "--rate", "0"], "not within 0 to 1"),
        (["c", "jobs", "1", "--rate", "2"], "not within 0 to 1"),
        (["g", "depth", "1", "--rate", "0.5"], "--rate means nothing to g"),
        (["c", "jobs", "1", "--delta"], "--delta is for gauges"),
        (["c", "jobs", "1", "--to", "http://x"], "http://x"),
    ],
)
def test_what_would_not_arrive_as_it_is_meant_is_refused(vitald, arguments, message):
    run = vitald("send", *arguments)
    assert (run.code, run.out) == (64, "")
    assert message in run.err


@pytest.mark.parametrize(
    "named",
    [
        lambda port: {"VITALD_URL": f"udp://127.0.0.1:{port}"},
        lambda port: {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(port)},
        lambda port: {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": str(port)},
    ],
)
def test_the_environment_of_a_service_names_the_target(vitald, udp, named):
    assert vitald("send", "c", "jobs", "1", **named(udp.getsockname()[1])).code == 0
    assert udp.recv(100) == b"jobs:1|c"


def test_a_wrong_environment_is_wrong_usage(vitald):
    assert vitald("send", "c", "jobs", "1", VITALD_URL="ftp://x").code == 64


def test_nobody_listening_is_an_error(vitald, udp):
    port = udp.getsockname()[1]
    udp.close()
    run = vitald("send", "c", "jobs", "1", "--to", f"udp://127.0.0.1:{port}")
    said = f"vitald: cannot send to udp://127.0.0.1:{port}: connection refused\n"
    assert run == (69, "", said)


def test_a_name_with_two_addresses_reaches_the_one_that_listens(vitald, udp):
    port = udp.getsockname()[1]
    assert vitald("send", "c", "jobs", "1", "--to", f"udp://localhost:{port}").code == 0
    assert udp.recv(100) == b"jobs:1|c"


def test_a_host_without_an_address_is_an_error(vitald):
    run = vitald("send", "c", "jobs", "1", "--to", "udp://no-such-host.invalid:1")
    assert run.code == 69
    assert run.err.startswith("vitald: cannot send to udp://no-such-host.invalid:1: ")


def test_a_unix_datagram_socket(vitald, tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "dsd"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(5)
        assert vitald("send", "g", "depth", "-1", "--to", f"unixgram://{path}").code == 0
        assert listener.recv(100) == b"depth:0|g\ndepth:-1|g"


def test_a_missing_unix_socket_is_an_error(vitald, tmp_path):
    url = f"unixgram://{tmp_path}/none"
    said = f"vitald: cannot send to {url}: no such file or directory\n"
    assert vitald("send", "c", "jobs", "1", "--to", url) == (69, "", said)


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_stream_gets_whole_lines(vitald, tmp_path_factory, family):
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        if family == socket.AF_UNIX:
            place = str(tmp_path_factory.mktemp("s") / "stream")
            url = f"unix://{place}"
        else:
            place = ("127.0.0.1", 0)
        listener.bind(place)
        listener.listen()
        listener.settimeout(5)
        if family == socket.AF_INET:
            url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        received = []

        def take():
            connection, _ = listener.accept()
            with connection:
                while part := connection.recv(100):
                    received.append(part)

        taker = threading.Thread(target=take)
        taker.start()
        assert vitald("send", "c", "jobs", "1", "--to", url).code == 0
        taker.join(5)
    assert b"".join(received) == b"jobs:1|c\n"

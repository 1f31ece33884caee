from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest
from pydantic import ValidationError

from vitald.checks.tcp import Options, TcpCheck, parse_target
from vitald.status import Status

TIMEOUT = 1.5


async def look(url, **options):
    return await TcpCheck(url=url, **{"timeout": TIMEOUT, **options}).run()


def numbers(result):
    return {item.name: item.value for item in result.observations}


@pytest.fixture
def talker(serve):
    """Return a starter of small servers; it returns their URL."""

    async def start(handle):
        host, port = await serve(handle)
        return f"tcp://{host}:{port}"

    return start


@pytest.mark.server("Redis")
async def test_a_server_that_accepts_is_healthy_with_its_time(redis):
    result = await look(f"tcp://127.0.0.1:{redis.port}")
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith("connected in ")
    assert 0 < numbers(result)["tcp_response_seconds"] < TIMEOUT


@pytest.mark.server("Redis")
async def test_what_a_server_says_to_what_it_is_sent_is_judged(redis):
    url = f"tcp://127.0.0.1:{redis.port}"
    expected = await look(url, send="PING\r\n", expect="-NOAUTH")
    assert expected.status is Status.HEALTHY
    assert expected.message.startswith("answered in ")


@pytest.mark.server("Redis")
async def test_a_unix_socket_is_a_target_too(redis):
    result = await look(f"unix://{redis.unix_socket}", send="PING\r\n", expect="NOAUTH")
    assert result.status is Status.HEALTHY, result.message


@pytest.mark.server("nginx")
async def test_tls_verifies_the_certificate_and_counts_its_days(nginx):
    url = f"tls://localhost:{nginx.tls_port}"
    trusted = await look(url, tls_ca=nginx.ca)
    assert trusted.status is Status.HEALTHY, trusted.message
    assert numbers(trusted)["tcp_tls_days_left"] > 14
    refused = await look(url)
    assert (refused.status, "certificate refused" in refused.message) == (Status.CRITICAL, True)
    assert (await look(url, tls_verify=False)).status is Status.HEALTHY


@pytest.mark.server("nginx")
async def test_tls_to_a_server_that_speaks_none_is_unhealthy(nginx):
    result = await look(f"tls://localhost:{nginx.port}")
    assert (result.status, "TLS failed: " in result.message) == (Status.CRITICAL, True)


@pytest.mark.server("Redis")
async def test_frozen_then_thawed_then_killed_then_restarted(redis, watch):
    url = f"tcp://127.0.0.1:{redis.port}"
    watched = watch(TcpCheck, url=url, send="PING\r\n", expect="NOAUTH", timeout=TIMEOUT)
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

    redis.freeze()
    report, seconds = await watched.look()
    assert report.label == "unhealthy"
    assert "no answer within 1.2s while waiting for the expected text" in report.message
    assert seconds < TIMEOUT + 0.5

    redis.thaw()
    redis.kill()
    report, _ = await watched.look()
    assert (report.label, "connection refused" in report.message) == ("unhealthy", True)

    redis.start()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message


async def test_nobody_listening_is_unhealthy_with_unknown_numbers(unused_port):
    result = await look(f"tcp://127.0.0.1:{unused_port}")
    assert result.status is Status.CRITICAL
    assert result.message == f"cannot reach tcp://127.0.0.1:{unused_port}: connection refused"
    assert set(numbers(result).values()) == {None}


async def test_a_banner_is_expected_without_sending_anything(talker):
    async def greet(reader, writer):
        for piece in (b"SSH-", b"2.0-", b"OpenSSH\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        await reader.read()

    url = await talker(greet)
    assert (await look(url, expect="SSH-2.0")).status is Status.HEALTHY


async def test_another_text_than_the_expected_one_is_unhealthy_and_shown_safely(talker):
    async def greet(_reader, writer):
        writer.write(b"\x1b[2Jgo away\r\n")
        await writer.drain()

    result = await look(await talker(greet), expect="welcome")
    assert result.status is Status.CRITICAL
    assert "expected 'welcome', got '\ufffd[2Jgo away'" in result.message


async def test_a_reply_without_end_is_read_up_to_a_limit(talker):
    async def flood(_reader, writer):
        while True:
            writer.write(b"spam " * 10_000)
            await writer.drain()

    result = await look(await talker(flood), expect="eggs")
    assert result.status is Status.CRITICAL
    assert len(result.message) < 300


async def test_a_slow_connection_is_a_warning_and_a_slower_one_unhealthy(talker):
    async def hesitate(_reader, writer):
        await asyncio.sleep(0.15)
        writer.write(b"yes")
        await writer.drain()

    url = await talker(hesitate)
    warned = await look(url, expect="yes", warning=0.1, critical=1.0)
    slow = await look(url, expect="yes", warning=0.05, critical=0.1)
    assert (warned.status, slow.status) == (Status.WARNING, Status.CRITICAL)


async def test_an_address_that_swallows_packets_leaves_time_for_the_next(talker, monkeypatch):
    async def accept(reader, _writer):
        await reader.read()

    url = await talker(accept)
    port = int(url.rpartition(":")[2])
    with full_backlog() as silent:

        async def two_addresses(_host, _port):
            stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
            return [(*stream, silent), (*stream, ("127.0.0.1", port))]

        monkeypatch.setattr("vitald.checks.tcp.lookup", two_addresses)
        result = await look(f"tcp://two-faced.example:{port}")
    assert result.status is Status.HEALTHY, result.message


@contextlib.contextmanager
def full_backlog():
    """Give an address that answers no further connection, as a firewall that drops does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()


async def test_an_address_that_swallows_packets_is_unhealthy_in_time():
    with full_backlog() as (host, port):
        started = time.monotonic()
        result = await look(f"tcp://{host}:{port}")
        assert time.monotonic() - started < TIMEOUT
    assert (result.status, result.message) == (
        Status.CRITICAL,
        f"cannot reach tcp://{host}:{port}: no answer within 1.2s while connecting",
    )


@pytest.mark.parametrize(
    "url",
    [
        *("", "127.0.0.1:80", "tcp://", "tcp://host", "tcp://host:0", "tcp://host:70000"),
        *("tcp://user:pw@host:1", "tcp://host:1/path", "tcp://host:1?x=y", "udp://host:1"),
        *("unix://relative", "unix://", "tcp://[::1:80"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused(url):
    with pytest.raises(ValidationError):
        Options(url=url)


def test_the_parts_of_a_target():
    assert parse_target("tcp://db.example:5432") == ("tcp", "db.example", 5432)
    assert parse_target("tls://[::1]:443/") == ("tls", "::1", 443)
    assert parse_target("unix:///run/x.sock") == ("unix", "/run/x.sock", 0)

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack
from urllib.parse import quote

import pytest
from pydantic import SecretStr, ValidationError

from vitald.checks.database import DatabaseCheck, Options
from vitald.status import Status

pytestmark = pytest.mark.server("Redis")

TIMEOUT = 2.0


def url(server, *, password=None, user="", place=None, path="", scheme="redis"):
    password = quote(server.password if password is None else password, safe="")
    place = f"127.0.0.1:{server.port}" if place is None else place
    return f"{scheme}://{user}:{password}@{place}{path}"


def look(address, **options):
    return DatabaseCheck(url=SecretStr(address), timeout=TIMEOUT, **options).run()


def numbers(result):
    return {item.name: item.value for item in result.observations}


class Client:
    """A client of our own: one connection, commands as text, answers line by line."""

    def __init__(self, server):
        self._socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self._lines = self._socket.makefile("rb")
        self.send(f'AUTH "{server.password}"')
        assert self.answer() == "+OK"

    def send(self, command):
        self._socket.sendall(f"{command}\r\n".encode())

    def answer(self):
        return self._lines.readline().decode().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lines.close()
        self._socket.close()


def test_a_server_that_answers_is_healthy_and_named_with_its_version(redis):
    result = look(url(redis))
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith("Redis 7.")


def test_connections_are_those_of_others_and_never_the_checks_own(redis):
    deadline = time.monotonic() + 5
    while numbers(look(url(redis)))["database_connections_active"] != 0:
        assert time.monotonic() < deadline, "clients of the test before are still there"
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Client(redis))
        found = numbers(look(url(redis)))
    assert found["database_connections_active"] == 3
    assert found["database_connections_max"] == 50


def test_a_unix_socket_works_in_both_spellings(redis):
    password = quote(redis.password, safe="")
    for address in (
        f"unix://:{password}@{redis.unix_socket}?db=1",
        f"redis+socket://:{password}@{redis.unix_socket}",
    ):
        assert look(address).status is Status.HEALTHY


def test_a_wrong_password_is_unhealthy_and_stays_secret(redis):
    result = look(url(redis, password="hunter2/@:secret"))
    assert result.status is Status.CRITICAL
    assert "WRONGPASS" in result.message
    assert "hunter2" not in result.message


def test_a_missing_password_is_unhealthy_with_the_servers_words(redis):
    result = look(f"redis://127.0.0.1:{redis.port}")
    assert (result.status, "NOAUTH" in result.message) == (Status.CRITICAL, True)


def test_a_user_who_may_only_ping_is_healthy_with_unknown_connections(redis):
    with Client(redis) as admin:
        admin.send("ACL SETUSER pinger on >pass +ping")
        assert admin.answer() == "+OK"
    result = look(url(redis, user="pinger", password="pass"))
    assert result.status is Status.HEALTHY, result.message
    assert numbers(result)["database_connections_active"] is None


def test_a_database_number_that_the_server_lacks_is_unhealthy(redis):
    assert look(url(redis, path="/3")).status is Status.HEALTHY
    result = look(url(redis, path="/4000"))
    assert (result.status, "out of range" in result.message) == (Status.CRITICAL, True)


def test_nobody_listening_is_unhealthy_with_unknown_numbers(redis, unused_port):
    result = look(url(redis, place=f"127.0.0.1:{unused_port}"))
    assert result.status is Status.CRITICAL
    assert result.message == f"cannot use Redis at 127.0.0.1:{unused_port}: connection refused"
    assert set(numbers(result).values()) == {None}


def test_a_busy_server_is_unhealthy_in_time(redis):
    with Client(redis) as admin:
        admin.send("DEBUG SLEEP 2.5")
        started = time.monotonic()
        result = look(url(redis))
        assert time.monotonic() - started < TIMEOUT
        assert (result.status, "no answer within 1.6s" in result.message) == (Status.CRITICAL, True)
        assert admin.answer() == "+OK"


def test_a_query_has_no_meaning_for_redis():
    with pytest.raises(ValidationError, match="query is for SQL"):
        Options(url="redis://localhost", query="SELECT 1")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$99999999999\r\n",
        b"$-1\r\n",
        b"*3\r\n",
        b"\r\n",
        b"x" * 200_000,
        b"",
    ],
    ids=lambda answer: repr(answer[:20]),
)
async def test_an_answer_that_is_not_redis_is_unhealthy_and_bounded(answer):
    async def serve(reader, writer):
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await asyncio.to_thread(look, f"redis://127.0.0.1:{port}")
    assert result.status is Status.CRITICAL
    assert len(result.message) < 200


def test_tls_verifies_the_certificate_against_the_ca_file(redis):
    query = f"?ssl_ca_certs={redis.ca}"
    address = url(redis, scheme="rediss", place=f"localhost:{redis.tls_port}")
    assert look(address + query).status is Status.HEALTHY
    result = look(address)
    assert result.status is Status.CRITICAL
    assert "certificate refused: " in result.message
    assert look(address + "?ssl_cert_reqs=none").status is Status.HEALTHY


async def test_frozen_then_thawed_then_killed_then_restarted(redis, watch):
    watched = watch(DatabaseCheck, url=url(redis), timeout=TIMEOUT)
    report, _ = await watched.look()
    assert (report.label, report.status) == ("healthy", Status.HEALTHY), report.message

    redis.freeze()
    report, seconds = await watched.look()
    assert (report.label, report.status) == ("unhealthy", Status.CRITICAL)
    assert "no answer within 1.6s" in report.message
    assert seconds < TIMEOUT + 0.5
    assert report.observations["database_connections_active"] is None

    redis.thaw()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

    redis.kill()
    report, _ = await watched.look()
    assert (report.label, "connection refused" in report.message) == ("unhealthy", True)

    redis.start()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

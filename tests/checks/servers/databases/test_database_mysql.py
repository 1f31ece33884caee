from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing
from urllib.parse import quote

import pymysql
import pytest
from pydantic import SecretStr

from vitald.checks.database import DatabaseCheck
from vitald.status import Status

pytestmark = pytest.mark.server("MariaDB")

TIMEOUT = 2.0


def url(server, *, user="vitald", password=None, place=None, path="", scheme="mysql"):
    password = quote(server.password if password is None else password, safe="")
    place = f"127.0.0.1:{server.port}" if place is None else place
    return f"{scheme}://{user}:{password}@{place}{path}"


def look(address, **options):
    return DatabaseCheck(url=SecretStr(address), timeout=TIMEOUT, **options).run()


def numbers(result):
    return {item.name: item.value for item in result.observations}


def connect(server):
    return closing(
        pymysql.connect(host="127.0.0.1", port=server.port, user="vitald", password=server.password)
    )


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mysql+aiomysql"])
def test_a_server_that_answers_is_healthy_and_named_with_its_version(mariadb, scheme):
    result = look(url(mariadb, scheme=scheme))
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith("MariaDB 10.")


def test_connections_are_those_of_others_and_never_the_checks_own(mariadb):
    deadline = time.monotonic() + 5
    while numbers(look(url(mariadb)))["database_connections_active"] != 0:
        assert time.monotonic() < deadline, "clients of the test before are still there"
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(mariadb))
        found = numbers(look(url(mariadb)))
    assert found["database_connections_active"] == 3
    assert found["database_connections_max"] == 30
    assert found["database_connections_percent"] == 10.0


def test_a_unix_socket_is_named_in_the_query_of_the_url(mariadb):
    result = look(url(mariadb, place="", path=f"/?unix_socket={mariadb.unix_socket}"))
    assert result.status is Status.HEALTHY, result.message


def test_a_wrong_password_is_unhealthy_and_stays_secret(mariadb):
    result = look(url(mariadb, password="hunter2/@:secret"))
    assert result.status is Status.CRITICAL
    assert "Access denied for user 'vitald'" in result.message
    assert "hunter2" not in result.message


def test_nobody_listening_is_unhealthy_with_unknown_numbers(mariadb, unused_port):
    result = look(url(mariadb, place=f"127.0.0.1:{unused_port}"))
    assert result.status is Status.CRITICAL
    assert result.message == f"cannot use MySQL at 127.0.0.1:{unused_port}: connection refused"
    assert set(numbers(result).values()) == {None}


def test_a_query_must_succeed_and_cannot_write(mariadb):
    query = "SELECT 1 FROM information_schema.tables LIMIT 1"
    assert look(url(mariadb), query=query).status is Status.HEALTHY
    missing = look(url(mariadb), query="SELECT 1 FROM information_schema.jobs")
    assert missing.status is Status.CRITICAL
    assert "nknown table" in missing.message
    root = url(mariadb, user="root", password="", path=f"/?unix_socket={mariadb.unix_socket}")
    writing = look(root, query="CREATE TABLE mysql.left_behind (x int)")
    assert (writing.status, "READ ONLY" in writing.message) == (Status.CRITICAL, True)


def test_a_slow_query_ends_in_time_here_and_on_the_server(mariadb):
    started = time.monotonic()
    result = look(url(mariadb), query="SELECT SLEEP(60)")
    assert time.monotonic() - started < TIMEOUT
    assert result.status is Status.CRITICAL
    assert "max_statement_time exceeded" in result.message


def test_a_missing_driver_is_unknown_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)
    result = look("mysql://u:hunter2@db/app")
    assert result.status is Status.UNKNOWN
    assert "install vitald[mysql]" in result.message


async def test_frozen_then_thawed_then_killed_then_restarted(mariadb, watch):
    watched = watch(DatabaseCheck, url=url(mariadb), timeout=TIMEOUT)
    report, _ = await watched.look()
    assert (report.label, report.status) == ("healthy", Status.HEALTHY), report.message

    mariadb.freeze()
    report, seconds = await watched.look()
    assert (report.label, report.status) == ("unhealthy", Status.CRITICAL)
    assert "no answer within 1.6s" in report.message
    assert seconds < TIMEOUT + 0.5

    mariadb.thaw()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

    mariadb.kill()
    report, _ = await watched.look()
    assert (report.label, "connection refused" in report.message) == ("unhealthy", True)

    mariadb.start()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import quote

import psycopg
import pytest
from pydantic import SecretStr

from vitald.checks.database import DatabaseCheck
from vitald.status import Status

pytestmark = pytest.mark.server("PostgreSQL")

TIMEOUT = 2.0


def url(server, *, user="vitald", password=None, scheme="postgresql", place=None, path="/postgres"):
    password = quote(server.password if password is None else password, safe="")
    place = f"127.0.0.1:{server.port}" if place is None else place
    return f"{scheme}://{user}:{password}@{place}{path}"


def look(server, *, timeout=TIMEOUT, query=None, warning=None, critical=None, **parts):
    address = SecretStr(url(server, **parts))
    options = {"query": query, "warning": warning, "critical": critical, "timeout": timeout}
    return DatabaseCheck(url=address, **options).run()


def numbers(result):
    return {item.name: item.value for item in result.observations}


def test_a_server_that_answers_is_healthy_and_named_with_its_version(postgresql):
    result = look(postgresql)
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith("PostgreSQL 1")
    assert 0 < numbers(result)["database_response_seconds"] < TIMEOUT


def connections(server, **parts):
    return numbers(look(server, **parts))["database_connections_active"]


def wait_for_nobody(server):
    """Wait for the sessions of the test before: the server ends them a moment after the client."""
    deadline = time.monotonic() + 5
    while connections(server) != 0:
        assert time.monotonic() < deadline


def test_connections_are_those_of_others_and_never_the_checks_own(postgresql):
    wait_for_nobody(postgresql)
    with psycopg.connect(url(postgresql)), psycopg.connect(url(postgresql)):
        during = numbers(look(postgresql))
    assert during["database_connections_active"] == 2
    assert during["database_connections_max"] == 20
    assert during["database_connections_percent"] == 10.0


def test_a_role_without_rights_counts_the_connections_of_others_too(postgresql):
    wait_for_nobody(postgresql)
    with psycopg.connect(url(postgresql), autocommit=True) as session:
        session.execute("CREATE ROLE guest LOGIN PASSWORD 'plain'")
        assert connections(postgresql, user="guest", password="plain") == 1


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+asyncpg", "postgresql+psycopg2"])
def test_a_url_of_an_application_works_as_it_is(postgresql, scheme):
    assert look(postgresql, scheme=scheme).status is Status.HEALTHY


def test_a_unix_socket_is_named_in_the_query_of_the_url(postgresql):
    path = f"/postgres?host={quote(str(postgresql.directory), safe='')}&port={postgresql.port}"
    result = look(postgresql, place="", path=path)
    assert result.status is Status.HEALTHY, result.message


def test_the_password_option_stands_in_for_the_one_in_the_url(postgresql):
    check = DatabaseCheck(
        url=SecretStr(url(postgresql, password="wrong")),
        password=SecretStr(postgresql.password),
        timeout=TIMEOUT,
    )
    assert check.run().status is Status.HEALTHY


def test_a_wrong_password_is_unhealthy_and_stays_secret(postgresql):
    result = look(postgresql, password="hunter2/@:secret")
    assert result.status is Status.CRITICAL
    assert 'password authentication failed for user "vitald"' in result.message
    assert "hunter2" not in result.message


def test_a_parameter_that_libpq_does_not_know_is_named_and_the_password_is_not(postgresql):
    result = look(postgresql, path="/postgres?prepared_statement_cache_size=0")
    assert result.status is Status.UNKNOWN
    assert "prepared_statement_cache_size" in result.message
    assert postgresql.password not in result.message
    assert quote(postgresql.password, safe="") not in result.message


def test_a_database_that_does_not_exist_is_unhealthy_by_name(postgresql):
    result = look(postgresql, path="/missing")
    assert result.status is Status.CRITICAL
    assert 'database "missing" does not exist' in result.message


def test_nobody_listening_is_unhealthy_with_unknown_numbers(postgresql, unused_port):
    result = look(postgresql, place=f"127.0.0.1:{unused_port}")
    assert result.status is Status.CRITICAL
    where = f"cannot use PostgreSQL at 127.0.0.1:{unused_port}/postgres"
    assert result.message == f"{where}: connection refused"
    assert set(numbers(result).values()) == {None}


def test_a_query_must_succeed(postgresql):
    assert look(postgresql, query="SELECT 1 FROM pg_class LIMIT 1").status is Status.HEALTHY
    result = look(postgresql, query="SELECT 1 FROM jobs")
    assert result.status is Status.CRITICAL
    assert 'relation "jobs" does not exist' in result.message


def test_a_query_cannot_write(postgresql):
    result = look(postgresql, query="CREATE TABLE left_behind (x int)")
    assert result.status is Status.CRITICAL
    assert "read-only transaction" in result.message


def test_a_slow_query_ends_in_time_here_and_on_the_server(postgresql):
    started = time.monotonic()
    result = look(postgresql, query="SELECT pg_sleep(60)")
    assert time.monotonic() - started < TIMEOUT
    assert result.status is Status.CRITICAL
    assert "canceling statement due to statement timeout" in result.message
    with psycopg.connect(url(postgresql), autocommit=True) as session:
        assert gone_within(session, 2.0, "SELECT pg_sleep(60)")


def gone_within(session, seconds, query):
    deadline = time.monotonic() + seconds
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
    while session.execute(running, [query]).fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_connection_that_dies_in_silence_during_a_query_does_not_hang_the_check(postgresql):
    query = "SELECT pg_sleep(59)"
    results = []
    runner = threading.Thread(target=lambda: results.append(look(postgresql, query=query)))
    with psycopg.connect(url(postgresql), autocommit=True) as session:
        runner.start()
        pid = backend_of(session, query)
        os.kill(pid, signal.SIGSTOP)
        try:
            runner.join(TIMEOUT + 1)
            assert results, "the check still waits for a backend that will never answer"
        finally:
            os.kill(pid, signal.SIGCONT)
            runner.join()
    assert results[0].status is Status.CRITICAL
    assert "no answer within 1.6s" in results[0].message


def backend_of(session, query):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = session.execute("SELECT pid FROM pg_stat_activity WHERE query = %s", [query])
        row = found.fetchone()
        if row:
            return row[0]
    raise AssertionError("the query never started")


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"warning": 10.0, "critical": 90.0}, Status.WARNING),
        ({"warning": 5.0, "critical": 10.0}, Status.CRITICAL),
        ({"warning": 10.5}, Status.HEALTHY),
    ],
)
def test_the_share_of_connections_in_use_has_limits(postgresql, limits, status):
    wait_for_nobody(postgresql)
    with psycopg.connect(url(postgresql)), psycopg.connect(url(postgresql)):
        result = look(postgresql, **limits)
    assert result.status is status
    assert "2 connections of 20" in result.message


def test_a_server_without_free_connections_is_unhealthy_with_its_own_words(postgresql):
    sessions = []
    try:
        with suppress(psycopg.OperationalError):
            while len(sessions) < 30:
                sessions.append(psycopg.connect(url(postgresql)))
        result = look(postgresql)
    finally:
        for session in sessions:
            session.close()
    assert result.status is Status.CRITICAL
    assert "too many clients" in result.message


def test_a_missing_driver_is_unknown_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    result = DatabaseCheck(url=SecretStr("postgresql://u:hunter2@db/app")).run()
    assert result.status is Status.UNKNOWN
    assert "install vitald[postgresql]" in result.message
    assert set(numbers(result).values()) == {None}


async def test_frozen_then_thawed_then_killed_then_restarted(postgresql, watch):
    watched = watch(DatabaseCheck, url=url(postgresql), timeout=TIMEOUT)
    report, _ = await watched.look()
    assert (report.label, report.status) == ("healthy", Status.HEALTHY), report.message

    postgresql.freeze()
    report, seconds = await watched.look()
    assert (report.label, report.status) == ("unhealthy", Status.CRITICAL)
    assert "no answer within 1.6s" in report.message
    assert seconds < TIMEOUT + 0.5
    assert report.observations["database_connections_active"] is None

    postgresql.thaw()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

    postgresql.kill()
    report, _ = await watched.look()
    assert report.label == "unhealthy"
    assert "connection refused" in report.message

    postgresql.start()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message
    assert [transition.after for transition in watched.transitions[-4:]] == [
        Status.CRITICAL,
        Status.HEALTHY,
        Status.CRITICAL,
        Status.HEALTHY,
    ]

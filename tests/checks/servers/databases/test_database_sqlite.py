from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from pydantic import SecretStr

from vitald.checks.database import DatabaseCheck
from vitald.status import Status

HOLD = """
import sqlite3, sys
held = [sqlite3.connect(sys.argv[1]) for _ in range(int(sys.argv[2]))]
for connection in held:
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "tasks ?#%.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tasks (x)")
        connection.commit()
    return path


@pytest.fixture
def holder(database):
    """Return a function that starts a process which holds the file open so many times."""
    processes = []

    def hold(count):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(database), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield hold
    for process in processes:
        process.communicate()


def check(path, **options):
    text = str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    return DatabaseCheck(url=SecretStr(f"sqlite:///{text}"), **options)


def numbers(result):
    return {item.name: item.value for item in result.observations}


def test_a_file_that_can_be_read_is_healthy(database):
    result = check(database).run()
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith(f"SQLite {sqlite3.sqlite_version} answered in ")


def test_connections_are_the_handles_that_processes_hold_without_the_checks_own(database, holder):
    holder(2)
    holder(1)
    with closing(sqlite3.connect(database)) as ours:
        ours.execute("SELECT count(*) FROM sqlite_master").fetchone()
        result = check(database).run()
        assert numbers(result)["database_connections_active"] == 4
        assert "4 open handles" in result.message


def test_the_files_of_the_write_ahead_log_are_not_counted_as_handles(database, holder):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    holder(3)
    assert database.with_name(database.name + "-wal").exists()
    assert numbers(check(database).run())["database_connections_active"] == 3


def test_a_log_that_nobody_has_open_is_not_created_by_the_check(database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    before = sorted(database.parent.iterdir())
    assert check(database, query="SELECT count(*) FROM tasks").run().status is Status.HEALTHY
    assert sorted(database.parent.iterdir()) == before


def test_a_missing_file_is_unhealthy_and_not_created(tmp_path):
    result = check(tmp_path / "none.db").run()
    assert result.status is Status.CRITICAL
    assert result.message.endswith("none.db: no such file or directory")
    assert numbers(result)["database_connections_active"] is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_unhealthy(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all\n" * 100)
    result = check(path).run()
    assert result.status is Status.CRITICAL
    assert "file is not a database" in result.message


def test_a_lock_that_is_never_released_is_unhealthy_in_time(database):
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        result = check(database, timeout=1.0).run()
        assert time.monotonic() - started < 1.0
    assert (result.status, "database is locked" in result.message) == (Status.CRITICAL, True)


def test_a_query_must_succeed_and_cannot_write(database):
    assert check(database, query="SELECT x FROM tasks").run().status is Status.HEALTHY
    missing = check(database, query="SELECT x FROM jobs").run()
    assert (missing.status, "no such table: jobs" in missing.message) == (Status.CRITICAL, True)
    writing = check(database, query="INSERT INTO tasks VALUES (1)").run()
    assert (writing.status, "readonly" in writing.message) == (Status.CRITICAL, True)


def test_an_endless_query_ends_in_time(database):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n"
    started = time.monotonic()
    result = check(database, query=endless, timeout=1.0).run()
    assert time.monotonic() - started < 1.0
    assert (result.status, "no answer within 800ms" in result.message) == (Status.CRITICAL, True)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite://host/file.db"])
def test_a_url_that_names_no_file_is_unknown(url):
    result = DatabaseCheck(url=SecretStr(url)).run()
    assert result.status is Status.UNKNOWN
    assert "names no file" in result.message


@pytest.mark.parametrize(
    "scheme", ["sqlite+aiosqlite:///{}", "sqlite+pysqlite:///file:{}?uri=true"]
)
def test_a_url_of_an_application_works_as_it_is(tmp_path, scheme):
    path = tmp_path / "app.db"
    sqlite3.connect(path).close()
    path.touch()
    result = DatabaseCheck(url=SecretStr(scheme.format(path))).run()
    assert result.status is Status.HEALTHY, result.message


async def test_the_worker_that_runs_the_check_does_not_count_itself(database, holder, watch):
    holder(1)
    url = str(database).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    watched = watch(DatabaseCheck, url=f"sqlite:///{url}")
    for _ in range(2):
        report, _ = await watched.look()
        assert report.label == "healthy", report.message
        assert report.observations["database_connections_active"] == 1

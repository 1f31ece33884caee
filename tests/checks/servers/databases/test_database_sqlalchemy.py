from __future__ import annotations

import sys
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from sqlalchemy.dialects import registry

from vitald.checks.database import DatabaseCheck
from vitald.status import Status

TIMEOUT = 2.0


@pytest.fixture(scope="module")
def elephant():
    """Register a dialect the way a distribution does: its name is not one of our own."""
    registry.register("elephant", "sqlalchemy.dialects.postgresql.psycopg", "dialect")
    registry.register("elephant.async", "sqlalchemy.dialects.postgresql.psycopg", "dialect_async")


def url(server, *, password=None, scheme="elephant"):
    password = quote(server.password if password is None else password, safe="")
    return f"{scheme}://vitald:{password}@127.0.0.1:{server.port}/postgres"


def look(address, **options):
    return DatabaseCheck(url=SecretStr(address), timeout=TIMEOUT, **options).run()


def numbers(result):
    return {item.name: item.value for item in result.observations}


@pytest.mark.server("PostgreSQL")
@pytest.mark.parametrize("scheme", ["elephant", "elephant+async"])
def test_any_dialect_that_answers_is_healthy_and_its_connections_unknown(
    postgresql, elephant, scheme
):
    result = look(url(postgresql, scheme=scheme))
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith("elephant 15.")
    assert numbers(result)["database_connections_active"] is None


@pytest.mark.server("PostgreSQL")
def test_the_password_option_stands_in_for_the_one_in_the_url(postgresql, elephant):
    password = SecretStr(postgresql.password)
    assert look(url(postgresql, password="wrong"), password=password).status is Status.HEALTHY


@pytest.mark.server("PostgreSQL")
def test_a_wrong_password_is_unhealthy_and_stays_secret(postgresql, elephant):
    result = look(url(postgresql, password="hunter2/@:secret"))
    assert result.status is Status.CRITICAL
    assert "password authentication failed" in result.message
    assert "hunter2" not in result.message


@pytest.mark.server("PostgreSQL")
def test_a_query_must_succeed(postgresql, elephant):
    assert look(url(postgresql), query="SELECT 7").status is Status.HEALTHY
    result = look(url(postgresql), query="SELECT 1 FROM jobs")
    assert (result.status, 'relation "jobs" does not' in result.message) == (Status.CRITICAL, True)


def test_a_dialect_that_is_not_installed_is_unknown():
    result = look("firebird://u:hunter2@db/app")
    assert result.status is Status.UNKNOWN
    assert result.message == (
        "cannot check firebird: no SQLAlchemy dialect of that name is installed"
    )


def test_a_driver_that_is_not_installed_is_unknown_by_name():
    result = look("oracle+oracledb://u:hunter2@db/app")
    assert result.status is Status.UNKNOWN
    assert "oracledb is missing" in result.message
    assert "hunter2" not in result.message


def test_sqlalchemy_missing_is_unknown_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    result = look("oracle://u:hunter2@db/app")
    assert result.status is Status.UNKNOWN
    assert "install vitald[sql]" in result.message

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from vitald.checks.database import DatabaseCheck, Options
from vitald.checks.database_url import parse_database_url
from vitald.status import Status

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(user=TEXT, password=TEXT, query=TEXT)
def test_the_parts_of_a_url_come_back_unquoted(user, password, query):
    parts = [quote(text, safe="") for text in (user, password, query)]
    url = parse_database_url(
        "postgresql+asyncpg://{}:{}@db.example:5433/app?sslpassword={}".format(*parts)
    )
    assert (url.dialect, url.host, url.port, url.path) == ("postgresql", "db.example", 5433, "/app")
    assert (url.user, url.password, url.query) == (user, password, {"sslpassword": query})
    assert url.place == "db.example:5433/app"
    assert set(url.secrets()) == {password, query}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2/x@db/app",
        "postgresql://user:hunter2@db:port/app",
        "postgresql://user:hunter2@[db/app",
        "hunter2",
        "",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match="cannot read the database URL") as error:
        parse_database_url(url)
    assert "hunter2" not in str(error.value)


def test_the_place_is_named_without_user_password_and_query():
    assert parse_database_url("mysql://u:p@[::1]:3306/app?x=y").place == "[::1]:3306/app"
    assert parse_database_url("postgresql:///").place == "the default place"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "redis://localhost", "query": "SELECT 1"}, "query is for SQL"),
        ({"url": "postgresql://db", "warning": "90%", "critical": "80%"}, "must not be above"),
        ({"url": "sqlite:////x.db", "warning": "80%"}, "sqlite tells no limit"),
        ({"url": "oracle://db/x", "critical": "80%"}, "oracle tells no limit"),
        ({"url": "postgresql://u:hunter2@db:port/app"}, "host or port cannot be read"),
        ({"url": "no url"}, "must begin with a scheme"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_together_are_refused(options, words):
    with pytest.raises(ValidationError, match=words) as error:
        Options(**options)
    assert "hunter2" not in str(error.value)


def test_a_redis_database_that_is_no_number_is_unknown():
    result = DatabaseCheck(url=SecretStr("redis://localhost/sessions")).run()
    assert (result.status, "is not a number" in result.message) == (Status.UNKNOWN, True)

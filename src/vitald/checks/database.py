"""`database`: a database accepts a connection and answers, and how many connections it has.

SQLite, PostgreSQL, MySQL, MariaDB and Redis have backends of their own; every other URL is
SQLAlchemy's.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from vitald.checks.base import Isolation, Observation, Result
from vitald.checks.database_backend import Deadline, UnhealthyError
from vitald.checks.database_url import DatabaseURL, parse_database_url
from vitald.checks.deadline import working_time
from vitald.checks.wording import cause, duration, one_line, os_error, plural, without_secrets
from vitald.config.options import CheckOptions, Percent, Secret, SecretURL
from vitald.status import Status

if TYPE_CHECKING:
    from pydantic import SecretStr
    from typing_extensions import Self

    from vitald.checks.database_backend import Backend, Reading

# dialect -> module and class; the module is imported by the process that runs the check.
_BACKENDS = {
    "sqlite": ("vitald.checks.database_sqlite", "SQLite"),
    **dict.fromkeys(
        ("postgresql", "postgres"), ("vitald.checks.database_postgresql", "PostgreSQL")
    ),
    **dict.fromkeys(("mysql", "mariadb"), ("vitald.checks.database_mysql", "MySQL")),
    **dict.fromkeys(
        ("redis", "rediss", "valkey", "valkeys", "unix"), ("vitald.checks.database_redis", "Redis")
    ),
}
_ANY_OTHER = ("vitald.checks.database_sqlalchemy", "AnySQL")
_WITHOUT_LIMIT = ("SQLite", "AnySQL")


class Options(CheckOptions):
    """Settings of a `database` check."""

    url: SecretURL = Field(
        description="Where the database is, as an application writes it: sqlite:////PATH, "
        "postgresql://, mysql://, redis://, or any URL of SQLAlchemy."
    )
    password: Secret | None = Field(
        default=None, description="Password, instead of the one in the URL."
    )
    query: str | None = Field(
        default=None,
        description="A query that must succeed too. It runs in a transaction that only reads "
        "where the database has such a thing. Not for Redis.",
    )
    warning: Percent | None = Field(
        default=None, description="Warn when this share of the server's connections is in use."
    )
    critical: Percent | None = Field(
        default=None, description="Unhealthy when this share of the server's connections is in use."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.warning is not None and self.critical is not None and self.warning > self.critical:
            raise ValueError("warning must not be above critical")
        dialect = parse_database_url(self.url.get_secret_value()).dialect
        _, kind = _BACKENDS.get(dialect, _ANY_OTHER)
        if self.query is not None and kind == "Redis":
            raise ValueError("query is for SQL; Redis has none")
        limited = self.warning is not None or self.critical is not None
        if limited and kind in _WITHOUT_LIMIT:
            raise ValueError(f"{dialect} tells no limit of connections to take a share of")
        return self


class DatabaseCheck:
    """Connect to a database, ask it something small, count its connections, and disconnect.

    It runs in a worker process, because no driver keeps its time-outs on every dead connection.
    """

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "process"
    connectivity: ClassVar[bool] = True
    takes_timeout: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: SecretStr,
        password: SecretStr | None = None,
        query: str | None = None,
        warning: float | None = None,
        critical: float | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._url = parse_database_url(
            url.get_secret_value(), password.get_secret_value() if password else None
        )
        self._warning, self._critical = warning, critical
        self._timeout = working_time(timeout)
        self._backend: Backend | None = None
        self._obstacle = ""
        try:
            self._backend = _backend(self._url, query)
        except (ImportError, ValueError) as error:
            self._obstacle = self._safe(str(error))

    def run(self) -> Result:
        backend = self._backend
        if backend is None:
            return Result(Status.UNKNOWN, self._obstacle, _failed())
        started = time.perf_counter()
        try:
            reading = backend.look(Deadline(self._timeout))
        except Exception as error:
            words = self._safe(_words(error, self._timeout))
            return Result(Status.CRITICAL, f"cannot use {backend.title}: {words}", _failed())
        return self._judge(reading, time.perf_counter() - started)

    def _judge(self, reading: Reading, seconds: float) -> Result:
        status = Status.HEALTHY
        message = f"{reading.server} answered in {duration(seconds)}"
        used, limit = reading.connections, reading.limit
        observations = [
            Observation("database_connections_active", used),
            Observation("database_response_seconds", seconds),
        ]
        if used is not None:
            of = f" of {limit}" if limit else ""
            message += f", {plural(used, reading.noun)}{of}"
        if limit:
            observations.append(Observation("database_connections_max", limit))
        if used is not None and limit:
            share = 100 * used / limit
            if self._critical is not None and share >= self._critical:
                status = Status.CRITICAL
            elif self._warning is not None and share >= self._warning:
                status = Status.WARNING
            observations.append(Observation("database_connections_percent", share))
        return Result(status, message, tuple(observations))

    def _safe(self, text: str) -> str:
        return without_secrets(one_line(text), self._url.secrets())


def _backend(url: DatabaseURL, query: str | None) -> Backend:
    module, name = _BACKENDS.get(url.dialect, _ANY_OTHER)
    backend: Backend = getattr(importlib.import_module(module), name)(url, query)
    return backend


def _words(error: Exception, seconds: float) -> str:
    if isinstance(error, UnhealthyError):
        return str(error)
    words = cause(os_error(error) or error)
    return f"no answer within {duration(seconds)}" if words == "timed out" else words


def _failed() -> tuple[Observation, ...]:
    return (
        Observation("database_connections_active", None),
        Observation("database_response_seconds", None),
    )

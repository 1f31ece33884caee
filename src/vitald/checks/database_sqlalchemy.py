"""Any other database, by SQLAlchemy and whatever driver its URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.checks.database_backend import Deadline, Reading, UnhealthyError
from vitald.checks.wording import one_line

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

    from vitald.checks.database_url import DatabaseURL


class AnySQL:
    """A database with a SQLAlchemy dialect. How many connections it has, no dialect can tell.

    Drivers take their time-outs by names of their own, in the URL; what they do not keep, the
    check's worker process does.
    """

    def __init__(self, url: DatabaseURL, query: str | None) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise ImportError(
                f"cannot check {url.dialect}: SQLAlchemy is missing; install vitald[sql]"
            ) from error
        self._sql = sqlalchemy
        self._query = query
        self._engine = self._build(url)
        self._name = url.dialect
        self.title = f"{url.dialect} at {url.place}"

    def look(self, deadline: Deadline) -> Reading:
        sql = self._sql
        try:
            with self._engine.connect() as connection:
                # A construct, because some dialects cannot select without a table.
                connection.execute(sql.select(sql.literal(1))).scalar()
                if self._query is not None:
                    connection.execute(sql.text(self._query)).first()
                version = self._engine.dialect.server_version_info
        except sql.exc.DBAPIError as error:
            deadline.left()
            raise UnhealthyError(one_line(str(error.orig))) from error
        numbers = ".".join(map(str, version)) if isinstance(version, tuple) else ""
        return Reading(f"{self._name} {numbers}".strip())

    def _build(self, url: DatabaseURL) -> Engine:
        sql = self._sql
        try:
            parsed = _blocking(sql.make_url(url.text))
            if url.password:
                parsed = parsed.set(password=url.password)
            engine: Engine = sql.create_engine(parsed, poolclass=sql.NullPool)
            return engine
        except sql.exc.NoSuchModuleError as error:
            raise ImportError(
                f"cannot check {url.dialect}: no SQLAlchemy dialect of that name is installed"
            ) from error
        except ImportError as error:
            missing = error.name or "its driver"
            raise ImportError(
                f"cannot check {url.dialect}: {missing} is missing; install it beside vitald[sql]"
            ) from error
        except sql.exc.ArgumentError as error:
            raise ValueError(f"cannot read the database URL: {error}") from error


def _blocking(url: URL) -> URL:
    """Return the URL for the dialect's blocking driver; the application may use an async one."""
    return url.set(drivername=url.get_backend_name()) if url.get_dialect().is_async else url

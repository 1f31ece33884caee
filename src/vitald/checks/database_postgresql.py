"""PostgreSQL, by libpq through psycopg."""

from __future__ import annotations

import re
import select
from typing import TYPE_CHECKING

from vitald.checks.database_backend import Deadline, Reading, UnhealthyError

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

    from vitald.checks.database_url import DatabaseURL

# To a role without pg_read_all_stats the server shows the sessions of others without their kind:
# those of a user in a database are then clients (or, rarely, their parallel workers).
_CONNECTIONS = """
SELECT count(*), current_setting('max_connections') FROM pg_stat_activity
WHERE pid <> pg_backend_pid()
AND (backend_type = 'client backend'
     OR (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL))
"""
_FAILED = re.compile(r"failed: (.+)")
_SEVERITY = re.compile(r"^(?:ERROR|FATAL|PANIC): +")


class PostgreSQL:
    """A PostgreSQL server, or what speaks its protocol.

    libpq is driven by hand because psycopg rounds its connect time-out up to whole seconds, two at
    least, and counts it per address: this way one deadline holds for everything but name lookups.
    """

    def __init__(self, url: DatabaseURL, query: str | None) -> None:
        try:
            from psycopg import Error, conninfo, pq
        except ImportError as error:
            raise ImportError(
                "cannot check PostgreSQL: psycopg is missing; install vitald[postgresql]"
            ) from error
        self._pq = pq
        self._query = query
        self.title = f"PostgreSQL at {url.place}"
        _, _, rest = url.text.partition("://")
        password = {"password": url.password} if url.password else {}
        try:
            text = conninfo.make_conninfo(
                f"postgresql://{rest}", fallback_application_name="vitald", **password
            )
        except Error as error:
            raise ValueError(f"cannot read the PostgreSQL URL: {_line(str(error))}") from error
        self._conninfo = text.encode()

    def look(self, deadline: Deadline) -> Reading:
        connection = self._pq.PGconn.connect_start(self._conninfo)
        try:
            self._connect(connection, deadline)
            version = _version(connection.parameter_status(b"server_version"))
            # One message each, without prepared statements: a pooler in between may give every
            # transaction another server connection.
            milliseconds = max(int(deadline.query_time() * 1000), 1)
            limit = f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}; SELECT 1"
            self._execute(connection, limit, deadline)
            if self._query is not None:
                self._execute(connection, self._query, deadline)
            used, most = self._connections(connection, deadline)
        finally:
            connection.finish()
        return Reading(f"PostgreSQL {version}", used, most)

    def _connections(self, connection: PGconn, deadline: Deadline) -> tuple[int | None, int | None]:
        """Return the connections of others and the limit; Nones from a server without the view."""
        try:
            result = self._execute(connection, _CONNECTIONS, deadline)
        except UnhealthyError:
            return None, None
        count, limit = result.get_value(0, 0), result.get_value(0, 1)
        return int(count or 0), int(limit or 0) or None

    def _connect(self, connection: PGconn, deadline: Deadline) -> None:
        polling = self._pq.PollingStatus
        events = select.POLLOUT
        while connection.status != self._pq.ConnStatus.BAD:
            _wait(connection.socket, events, deadline)
            status = connection.connect_poll()
            if status == polling.OK:
                return
            if status == polling.FAILED:
                break
            events = select.POLLIN if status == polling.READING else select.POLLOUT
        raise UnhealthyError(_connect_cause(_text(connection.error_message)))

    def _execute(self, connection: PGconn, sql: str, deadline: Deadline) -> PGresult:
        """Run `sql` and return its last result. Raises UnhealthyError with the server's words."""
        connection.send_query(sql.encode())
        last: PGresult | None = None
        failure = ""
        while True:
            while connection.is_busy():
                _wait(connection.socket, select.POLLIN, deadline)
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                break
            last = result
            failure = failure or _line(_text(result.error_message))
        if failure or last is None:
            raise UnhealthyError(failure or "no answer to a query")
        return last


def _wait(descriptor: int, events: int, deadline: Deadline) -> None:
    poll = select.poll()
    poll.register(descriptor, events)
    if not poll.poll(deadline.left() * 1000):
        raise TimeoutError("timed out")


def _connect_cause(message: str) -> str:
    """Return the last address' failure without the address, which the title has already."""
    failures = _FAILED.findall(message)
    return _line(failures[-1] if failures else message)


def _line(message: str) -> str:
    line = next(iter(message.strip().splitlines()), "")
    line = _SEVERITY.sub("", line)
    return line[:1].lower() + line[1:] if line[1:2].islower() else line


def _text(message: bytes | str) -> str:
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else message


def _version(status: bytes | None) -> str:
    """Return `15.18` of `15.18 (Debian 15.18-0+deb12u1)`."""
    return _text(status or b"").partition(" ")[0] or "server"

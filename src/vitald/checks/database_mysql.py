"""MySQL and MariaDB, by PyMySQL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from vitald.checks.database_backend import Deadline, Reading, UnhealthyError
from vitald.checks.wording import one_line

if TYPE_CHECKING:
    from vitald.checks.database_url import DatabaseURL

# What drivers call the socket in a URL's query.
_SOCKET_KEYS = ("unix_socket", "unix_sock", "socket")
_TLS_KEYS = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity")


class MySQL:
    """A MySQL or MariaDB server."""

    def __init__(self, url: DatabaseURL, query: str | None) -> None:
        try:
            import pymysql
        except ImportError as error:
            raise ImportError(
                "cannot check MySQL: PyMySQL is missing; install vitald[mysql]"
            ) from error
        self._driver = pymysql
        self._query = query
        self._settings = _settings(url)
        socket = self._settings.get("unix_socket")
        self.title = f"MySQL at {socket or url.place}"

    def look(self, deadline: Deadline) -> Reading:
        left = deadline.left()
        try:
            with closing(
                self._driver.connect(
                    **self._settings, connect_timeout=left, read_timeout=left, write_timeout=left
                )
            ) as connection:
                return self._read(connection, deadline)
        except (self._driver.Error, RuntimeError) as error:
            # The driver wraps what the socket said, and loses when it was a time-out.
            deadline.left()
            raise UnhealthyError(_words(error)) from error

    def _read(self, connection: Any, deadline: Deadline) -> Reading:
        with closing(connection.cursor()) as cursor:
            if self._query is not None:
                # For the session: a statement that changes tables ends a transaction by itself.
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
                cursor.execute(_time_limit(connection.get_server_info(), deadline.query_time()))
                cursor.execute(self._query)
                cursor.fetchone()
                connection.rollback()
                deadline.left()
            cursor.execute("SELECT VERSION(), @@max_connections")
            version, limit = cursor.fetchone()
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
            row = cursor.fetchone()
        return Reading(_server(str(version)), int(row[1]) - 1 if row else None, int(limit))


def _time_limit(version: str, seconds: float) -> str:
    if "mariadb" in version.lower():
        return f"SET SESSION max_statement_time = {seconds:.3f}"
    return f"SET SESSION max_execution_time = {max(int(seconds * 1000), 1)}"


def _settings(url: DatabaseURL) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "user": url.user or None,
        "password": url.password,
        "database": url.path.strip("/") or None,
        "charset": "utf8mb4",
        "program_name": "vitald",
    }
    socket = next((url.query[key] for key in _SOCKET_KEYS if key in url.query), None)
    if socket is not None:
        settings["unix_socket"] = socket
    else:
        settings["host"] = url.host or "localhost"
        settings["port"] = url.port or 3306
    for key in _TLS_KEYS:
        if key in url.query:
            value = url.query[key]
            settings[key] = value.lower() in {"1", "true", "yes"} if "verify" in key else value
    return settings


def _words(error: Exception) -> str:
    """Return the server's or the system's words of `(code, words)`."""
    words = str(error.args[1]) if len(error.args) > 1 else str(error)
    # Such as: Can't connect to MySQL server on 'db' ([Errno 111] Connection refused)
    inner = words.rpartition("([Errno ")[2].partition("] ")[2].rstrip(")")
    return one_line(inner[:1].lower() + inner[1:] if inner else words)


def _server(version: str) -> str:
    """Return `MariaDB 10.11.19` or `MySQL 8.0.40` of the server's long version."""
    kind = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    # MariaDB hides its version from old replicas behind "5.5.5-".
    return f"{kind} {version.removeprefix('5.5.5-').partition('-')[0]}"

"""Redis and what speaks its protocol (RESP 2), without a driver: two commands and their answers."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from vitald.checks.database_backend import Deadline, Reading, UnhealthyError
from vitald.checks.wording import cause

if TYPE_CHECKING:
    from vitald.checks.database_url import DatabaseURL

_TLS = frozenset({"rediss", "valkeys"})
_LINE_LIMIT = 64 * 1024
_BULK_LIMIT = 1024 * 1024


class Redis:
    """A Redis server: redis://, rediss:// (TLS), or unix:///PATH?db=N."""

    def __init__(self, url: DatabaseURL, query: str | None) -> None:
        if query is not None:
            raise ValueError("cannot run a query on Redis")
        self._url = url
        self._path = url.path if not url.host and len(url.path) > 1 else ""
        number = url.query.get("db", "0" if self._path else url.path.strip("/") or "0")
        if not (number.isascii() and number.isdigit()):
            raise ValueError("cannot read the Redis URL: the database is not a number")
        self._database = int(number)
        self.title = f"Redis at {self._path or url.place}"

    def look(self, deadline: Deadline) -> Reading:
        with self._connect(deadline) as connection:
            session = _Session(connection, deadline)
            if self._url.password:
                user = [self._url.user] if self._url.user else []
                session.ask("AUTH", *user, self._url.password)
            session.ask("PING")
            if self._database:
                session.ask("SELECT", str(self._database))
            return self._read(session)

    def _read(self, session: _Session) -> Reading:
        try:
            server = _fields(session.ask("INFO", "server"))
            clients = _fields(session.ask("INFO", "clients"))
        except UnhealthyError:
            # It answers PING; an ACL may still keep INFO from this user.
            return Reading("Redis")
        version = server.get("redis_version", "")
        connected = _number(clients.get("connected_clients"))
        used = None if connected is None else max(connected - 1, 0)
        return Reading(f"Redis {version}".strip(), used, _number(clients.get("maxclients")))

    def _connect(self, deadline: Deadline) -> socket.socket:
        if self._path:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(deadline.left())
                connection.connect(self._path)
            except BaseException:
                connection.close()
                raise
            return connection
        host = self._url.host or "localhost"
        connection = socket.create_connection((host, self._url.port or 6379), deadline.left())
        if self._url.dialect not in _TLS:
            return connection
        try:
            return self._tls_context().wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise

    def _tls_context(self) -> ssl.SSLContext:
        # The names that Redis URLs have for these elsewhere.
        query = self._url.query
        try:
            context = ssl.create_default_context(cafile=query.get("ssl_ca_certs"))
            if "ssl_certfile" in query:
                context.load_cert_chain(query["ssl_certfile"], query.get("ssl_keyfile"))
        except OSError as error:
            raise UnhealthyError(f"its certificate files cannot be read: {cause(error)}") from error
        if query.get("ssl_check_hostname", "true").lower() in {"false", "0", "no"}:
            context.check_hostname = False
        if query.get("ssl_cert_reqs", "required").lower() in {"none", "cert_none"}:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class _Session:
    """Commands and answers on one connection.

    https://redis.io/docs/latest/develop/reference/protocol-spec/
    """

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = b""

    def ask(self, *words: str) -> str:
        """Send one command and return its answer. Raises UnhealthyError with the server's words."""
        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            data = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self._connection.settimeout(self._deadline.left())
        self._connection.sendall(b"".join(parts))
        return self._answer().decode("utf-8", "replace")

    def _answer(self) -> bytes:
        kind, rest = (line := self._line())[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise UnhealthyError(rest.decode("utf-8", "replace"))
        if kind == b"$" and rest.isdigit() and int(rest) <= _BULK_LIMIT:
            return self._exactly(int(rest) + 2)[:-2]
        raise UnhealthyError(f"this is no Redis: it answered {line[:40]!r}")

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _LINE_LIMIT:
                raise UnhealthyError("this is no Redis: it answered a line without an end")
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _receive(self) -> None:
        self._connection.settimeout(self._deadline.left())
        data = self._connection.recv(64 * 1024)
        if not data:
            raise UnhealthyError("the server closed the connection")
        self._buffer += data


def _fields(info: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None

"""Database URLs, in the spelling that applications already have in DATABASE_URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """The parts of `dialect+driver://user:password@host:port/path?query`, unquoted.

    The driver is for the application; a check has its own and ignores it. `text` is the URL as it
    was given, `path` begins with the slash after the host.
    """

    text: str
    dialect: str
    host: str
    port: int | None
    user: str
    password: str
    path: str
    query: Mapping[str, str]

    @property
    def place(self) -> str:
        """Return where the server is, for people: `db.example:5432/app`; no secrets in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{host}{port}{self.path}".strip("/") or "the default place"

    def secrets(self) -> list[str]:
        """Return what no message may show. Names of files and modes in the query are no secrets."""
        hidden = [value for name, value in self.query.items() if "pass" in name.lower()]
        return [text for text in (self.password, *hidden) if text]


def parse_database_url(text: str, password: str | None = None) -> DatabaseURL:
    """Split a URL; `password` stands in for the one in it.

    Raises ValueError, without a piece of the URL: a password with an unquoted `@` or `/` in it
    would be torn apart, and a part of it would look like a host.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("cannot read the database URL: its host or port is no good") from None
    if not parts.scheme:
        raise ValueError("cannot read the database URL: it has no scheme, like postgresql://")
    return DatabaseURL(
        text=text,
        dialect=parts.scheme.partition("+")[0].lower(),
        host=unquote(parts.hostname or ""),
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or "") if password is None else password,
        path=unquote(parts.path),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
    )

"""Where a target is: `tcp://host:port`, `udp://host:port`, `unixgram:///path`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

# The kernel's limit for a socket's path (sockaddr_un) less its terminator.
_LONGEST_PATH = 107


class Endpoint(NamedTuple):
    """A parsed URL; `path` is "" for the schemes that have a host."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        if self.path:
            return f"{self.scheme}://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_endpoint(url: str, ports: Mapping[str, int | None]) -> Endpoint:
    """Parse `url`; `ports` has the schemes allowed with their default port, None for a path.

    Raises ValueError with a message for people.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise ValueError(f"cannot use {url!r}: {error}") from None
    if parts.scheme not in ports:
        allowed = ", ".join(f"{scheme}://" for scheme in ports)
        raise ValueError(f"cannot use {url!r}: it must start with {allowed}")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"cannot use {url!r}: only a scheme and an address are understood")
    default = ports[parts.scheme]
    if default is None:
        return _path(url, parts.scheme, parts.netloc, parts.path)
    if not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError(f"cannot use {url!r}: it must be {parts.scheme}://host:port")
    return Endpoint(parts.scheme, parts.hostname, default if port is None else port, "")


def _path(url: str, scheme: str, netloc: str, path: str) -> Endpoint:
    if netloc or not path.startswith("/"):
        raise ValueError(f"cannot use {url!r}: it must be {scheme}:///absolute/path")
    if len(path.encode()) > _LONGEST_PATH:
        raise ValueError(f"cannot use {url!r}: a socket's path has at most {_LONGEST_PATH} bytes")
    return Endpoint(scheme, "", 0, path)

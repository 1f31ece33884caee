"""Where packets go: one address, from a URL or from the environment.

    udp://host:port   tcp://host:port   unixgram:///path (datagrams)   unix:///path (stream)

The port is 8125 when the URL has none; an IPv6 address stands in brackets.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HOST, DEFAULT_PORT = "localhost", 8125

# 1432 bytes pass any Ethernet unfragmented, with room for tunnels; a Unix socket has no such limit.
_DATAGRAM_SIZES = {"udp": 1432, "tcp": 8192, "unixgram": 8192, "unix": 8192}

# `sockaddr_un.sun_path` holds 108 bytes, its end included.
_UNIX_PATH_BYTES = 107


class Target:
    """One address: `host` and `port` for udp and tcp, `path` for unixgram and unix."""

    __slots__ = ("host", "path", "port", "scheme")

    def __init__(self, scheme: str, host: str = "", port: int = 0, path: str = "") -> None:
        self.scheme, self.host, self.port, self.path = scheme, host, port, path

    @property
    def datagram_size(self) -> int:
        """Return the largest datagram to build by default, in bytes."""
        return _DATAGRAM_SIZES[self.scheme]

    def __str__(self) -> str:
        if self.path:
            return f"{self.scheme}://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_url(url: str) -> Target:
    """Return the target that `url` names; ValueError when it names none."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _DATAGRAM_SIZES:
        raise ValueError(
            f"cannot use target {url!r}: it is none of udp://, tcp://, unixgram://, unix://"
        )
    if scheme.startswith("unix"):
        if not rest.startswith("/"):
            raise ValueError(f"cannot use target {url!r}: it has no absolute path")
        if len(rest.encode("utf-8", "replace")) > _UNIX_PATH_BYTES or "\0" in rest:
            raise ValueError(f"cannot use target {url!r}: no socket can have that path")
        return Target(scheme, path=rest)
    host, port = _split_host(rest.rstrip("/"), url)
    return Target(scheme, host, port)


def at(host: str, port: int | str | None = None) -> Target:
    """Return the UDP target at a host and port; ValueError for a port that is none."""
    return Target("udp", host or DEFAULT_HOST, _port(port or DEFAULT_PORT, f"{host}:{port}"))


def from_environment(environ: Mapping[str, str]) -> tuple[Target, list[str]]:
    """Return the target that the environment names, and what was wrong with it.

    Order: VITALD_URL, STATSD_HOST and STATSD_PORT, DD_DOGSTATSD_URL, DD_AGENT_HOST and
    DD_DOGSTATSD_PORT, localhost:8125. A wrong variable is skipped: telemetry must not keep a
    service from starting.
    """
    faults: list[str] = []
    for names, read in (
        (("VITALD_URL",), parse_url),
        (("STATSD_HOST", "STATSD_PORT"), at),
        (("DD_DOGSTATSD_URL",), _parse_datadog_url),
        (("DD_AGENT_HOST", "DD_DOGSTATSD_PORT"), at),
    ):
        values = [environ.get(name, "") for name in names]
        if any(values):
            try:
                return read(*values), faults
            except ValueError as error:
                faults.append(f"{' and '.join(names)}: {error}")
    return at(DEFAULT_HOST), faults


def _parse_datadog_url(url: str) -> Target:
    """Datadog's clients write `unix://` for datagrams and `unixstream://` for the stream."""
    scheme, separator, rest = url.partition("://")
    names = {"unix": "unixgram", "unixstream": "unix"}
    return parse_url(names.get(scheme, scheme) + separator + rest)


def _split_host(text: str, url: str) -> tuple[str, int]:
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ValueError(f"cannot use target {url!r}: its IPv6 address is not closed by ']'")
        port = port[1:]
    else:
        host, _, port = text.partition(":")
    if not host or set(host) & set("/?#@ "):
        raise ValueError(f"cannot use target {url!r}: {host!r} is no host")
    return host, _port(port or DEFAULT_PORT, url)


def _port(port: int | str, url: str) -> int:
    text = str(port)
    if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536:
        return int(text)
    raise ValueError(f"cannot use target {url!r}: {text!r} is no port")

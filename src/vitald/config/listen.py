"""Where to listen: URLs of sockets and the HTTP address, as the file has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from vitald.config.options import Section, Size
from vitald.config.suggest import nearest
from vitald.config.units import quoted
from vitald.wire.dialect import GaugeSign, TagFormat  # noqa: TC001  pydantic reads them

if TYPE_CHECKING:
    from pathlib import Path

Scheme = Literal["udp", "tcp", "unixgram", "unix"]

STATSD_PORT = 8125
DEFAULT_HTTP = ("127.0.0.1", 8127)
# sockaddr_un holds 108 bytes, the terminating NUL among them.
LONGEST_SOCKET_PATH = 107

_SCHEMES = ("udp", "unixgram", "tcp", "unix")
_FORMS = "write udp://HOST:PORT, tcp://HOST:PORT, unixgram:///PATH or unix:///PATH"
_OFF = frozenset({"off", "false", "no"})
_ON = frozenset({"on", "true", "yes"})
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?")
_MODE = re.compile(r"(?:0o?)?([0-7]{1,3})")


class ListenAddress(NamedTuple):
    """Host and port for `udp` and `tcp`, a path for `unixgram` and `unix`."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{self.scheme}://{self.path}"
        return f"{self.scheme}://{HttpAddress(self.host, self.port)}"


class HttpAddress(NamedTuple):
    """Host (a name, an IPv4 or an IPv6 address without brackets) and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Say whether only this machine can connect."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


def read_url(url: str) -> ListenAddress:
    """Parse a listener's URL; the port is 8125 when left out. Raises ValueError."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"{quoted(url)} is no address: {_FORMS}")
    if scheme not in _SCHEMES:
        meant = nearest(scheme, _SCHEMES)
        hint = f'did you mean "{meant}://"?' if meant else _FORMS
        raise ValueError(f"{quoted(url)} has an unknown scheme; {hint}")
    if scheme in {"unixgram", "unix"}:
        return ListenAddress("unix" if scheme == "unix" else "unixgram", path=_socket_path(url))
    host, port = _host_and_port(rest.removesuffix("/"), quoted(url), STATSD_PORT)
    return ListenAddress("tcp" if scheme == "tcp" else "udp", host, port)


def read_http(value: object) -> HttpAddress | None:
    """Read `off`, `on` or HOST:PORT; None is off. Raises ValueError."""
    if value is None or isinstance(value, HttpAddress):
        return value
    text = str(value).strip()
    if text.lower() in _OFF:
        return None
    if text.lower() in _ON:
        return HttpAddress(*DEFAULT_HTTP)
    if text.isdigit():
        raise ValueError(f"{quoted(text)} has no host: write 127.0.0.1:{text}")
    if "://" in text:
        raise ValueError(f"{quoted(text)} is no address: write it without the scheme")
    if isinstance(value, str) and ":" in text:
        return HttpAddress(*_host_and_port(text, quoted(text), None))
    raise ValueError(f"{quoted(value)} is no address: write off, on or HOST:PORT")


def write_http(address: HttpAddress | None) -> str:
    """Return what `read_http` reads."""
    return "off" if address is None else str(address)


def read_mode(value: object) -> int:
    """Read the permissions of a socket file as chmod does: `0660`, `"660"`. Raises ValueError."""
    if type(value) is int and 0 <= value <= 0o777:
        return value
    match = None if isinstance(value, bool) else _MODE.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{quoted(value)} is no permission: write it like 0660")
    return int(match[1], 8)


def write_mode(mode: int) -> str:
    """Return what `read_mode` reads."""
    return f"{mode:04o}"


Http = Annotated[
    HttpAddress | None,
    PlainValidator(read_http),
    PlainSerializer(write_http, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "x-type": "off, on or HOST:PORT",
            "anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^(on|off|.+:[0-9]+)$"}],
        }
    ),
]
Mode = Annotated[
    int,
    BeforeValidator(read_mode),
    PlainSerializer(write_mode, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "x-type": "mode",
            "anyOf": [{"type": "string", "pattern": "^[0-7]+$"}, {"type": "integer"}],
        }
    ),
]


class Listener(Section):
    """One address that services send to; a URL alone stands for a section with that `url`."""

    url: str = Field(
        description=(
            "`udp://HOST:PORT`, `tcp://HOST:PORT`, `unixgram:///PATH` (datagrams) or "
            "`unix:///PATH` (a stream of lines). An IPv6 address stands in brackets; the port is "
            "8125 when left out."
        )
    )
    gauge_sign: GaugeSign | None = Field(
        default=None,
        description="The global `gauge_sign`, for this listener.",
        json_schema_extra={"shown": "the global one"},
    )
    tag_formats: tuple[TagFormat, ...] | None = Field(
        default=None,
        description="The global `tag_formats`, for this listener.",
        json_schema_extra={"shown": "the global ones"},
    )
    receive_buffer: Size = Field(
        default=4 * 1024 * 1024,
        le=2**30,
        description=(
            "Receive buffer of a datagram socket: a burst that does not fit is lost. The kernel "
            "clips it to net.core.rmem_max unless the sidecar may override that; 0 leaves the "
            "kernel's default."
        ),
    )
    mode: Mode = Field(
        default=0o600,
        description=(
            "Permissions of a Unix socket's file. A service needs write permission: 0666 lets "
            "every user of the machine send, as UDP does."
        ),
    )

    readers: int = Field(
        default=1,
        ge=1,
        le=64,
        description=(
            "UDP only: sockets that share the address, each with a receive buffer and, in the "
            "native engine, a thread of its own. The kernel deals them out by sender, so one "
            "sender never has more than one. With more than 1, another process of the same user "
            "can join the address and take a share of the packets (SO_REUSEPORT). The Python "
            "engine gains nothing from it."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _url_alone(cls, value: Any) -> Any:
        return value if isinstance(value, (dict, Listener)) else {"url": value}

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str) -> str:
        return str(read_url(url))

    @field_validator("readers")
    @classmethod
    def _of_udp(cls, readers: int, info: ValidationInfo) -> int:
        if readers > 1 and not info.data.get("url", "udp://").startswith("udp://"):
            raise ValueError("only a udp:// address can have more than one reader")
        return readers

    @property
    def address(self) -> ListenAddress:
        """Return the parsed URL."""
        return read_url(self.url)


def check_socket_path(path: Path | str) -> None:
    """Raise ValueError for a path that no Unix socket can have."""
    if len(str(path).encode()) > LONGEST_SOCKET_PATH:
        raise ValueError(f"the path of a socket has at most {LONGEST_SOCKET_PATH} bytes")


def _socket_path(url: str) -> str:
    scheme, _, path = url.partition("://")
    if not path.startswith("/"):
        raise ValueError(f"{quoted(url)} has no absolute path: write {scheme}:///{path}")
    if path.endswith("/") or "?" in path or "#" in path:
        raise ValueError(f"{quoted(url)} names no file: write {scheme}:///PATH")
    check_socket_path(path)
    return path


def _host_and_port(place: str, shown: str, default: int | None) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{shown} has no host and port that can be read") from error
    if place.rpartition("@")[1] or parts.path or parts.query or parts.fragment:
        raise ValueError(f"{shown} has more than a host and a port")
    if port is None:
        port = default
    if not host:
        raise ValueError(f"{shown} has no host: 0.0.0.0 and [::] stand for every address")
    if port is None:
        raise ValueError(f"{shown} has no port")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{shown} has no host and port that can be read")
    return host, port

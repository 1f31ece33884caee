"""Binding: an address from the config becomes a bound socket, or one clear line why not."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Literal, NamedTuple

from vitald.errors import StartError

Scheme = Literal["udp", "tcp", "unixgram", "unix"]

# asm-generic/socket.h; needs CAP_NET_ADMIN and is not clipped to net.core.rmem_max.
_SO_RCVBUFFORCE = 33


class Address(NamedTuple):
    """Where to listen: host and port for `udp` and `tcp`, a path for `unixgram` and `unix`."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{self.scheme}://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def bind(address: Address, *, receive_buffer: int = 0, mode: int = 0o600) -> socket.socket:
    """Return a bound, non-blocking socket; a stream socket listens already.

    `receive_buffer` is in bytes, 0 for the kernel's default. `mode` is the permission of a Unix
    socket. Raises StartError.
    """
    is_datagram = address.scheme in {"udp", "unixgram"}
    kind = socket.SOCK_DGRAM if is_datagram else socket.SOCK_STREAM
    try:
        sock = _bind_path(address, kind, mode) if address.path else _bind_port(address, kind)
    except OSError as error:
        raise StartError(f"cannot bind {address}: {_cause(error)}") from error
    if receive_buffer:
        _grow(sock, receive_buffer)
    if not is_datagram:
        sock.listen(128)
    sock.setblocking(False)
    return sock


def _bind_port(address: Address, kind: socket.SocketKind) -> socket.socket:
    family, _, protocol, _, place = socket.getaddrinfo(
        address.host or None, address.port, type=kind, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_path(address: Address, kind: socket.SocketKind, mode: int) -> socket.socket:
    _clear_stale(address, kind)
    sock = socket.socket(socket.AF_UNIX, kind)
    # fchmod on the unbound socket sets the mode that bind gives the file (less the umask), so it
    # is never more open than asked for, not even for a moment.
    os.fchmod(sock.fileno(), mode)
    try:
        sock.bind(address.path)
        Path(address.path).chmod(mode)
    except OSError:
        sock.close()
        raise
    return sock


def _clear_stale(address: Address, kind: socket.SocketKind) -> None:
    """Remove the file of a listener that is gone; keep what answers or is no socket."""
    try:
        found = Path(address.path).stat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise StartError(f"cannot bind {address}: the path exists and is not a socket")
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            Path(address.path).unlink(missing_ok=True)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            raise StartError(
                f"cannot bind {address}: the path is another kind of socket, and in use"
            ) from error
        else:
            raise StartError(f"cannot bind {address}: another process listens there")


def _grow(sock: socket.socket, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:
        # Clipped to net.core.rmem_max without an error; `vitald doctor` says so.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def _cause(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

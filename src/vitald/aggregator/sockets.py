"""Binding: an address from the config becomes a bound socket, or one clear line why not."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple

from vitald.errors import StartError, system_cause

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


def bind_shared(address: Address, count: int, *, receive_buffer: int = 0) -> list[socket.socket]:
    """Return `count` UDP sockets bound to one address: a sender's packets all go to one of them.

    Sockets that share let others of the same user in without a word, a second sidecar too: the
    address is tried alone first. Raises StartError.
    """
    with bind(address) as alone:
        port = alone.getsockname()[1]
    with ExitStack() as stack:
        socks = [
            stack.enter_context(
                bind(address._replace(port=port), receive_buffer=receive_buffer, share=True)
            )
            for _ in range(count)
        ]
        stack.pop_all()
    return socks


def bind(
    address: Address, *, receive_buffer: int = 0, mode: int = 0o600, share: bool = False
) -> socket.socket:
    """Return a bound, non-blocking socket; a stream socket listens already.

    `receive_buffer` is in bytes, 0 for the kernel's default. `mode` is the permission of a Unix
    socket. `share` lets other sockets that share have the same address. Raises StartError.
    """
    is_datagram = address.scheme in {"udp", "unixgram"}
    kind = socket.SOCK_DGRAM if is_datagram else socket.SOCK_STREAM
    with ExitStack() as stack:
        try:
            sock, place = _open(address, kind, mode)
            stack.callback(sock.close)
            if share:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(place)
            if address.path:
                stack.callback(Path(address.path).unlink, missing_ok=True)
                Path(address.path).chmod(mode)
            if receive_buffer:
                _grow(sock, receive_buffer)
            if not is_datagram:
                sock.listen(128)
        except OSError as error:
            raise StartError(f"cannot bind {address}: {system_cause(error)}") from error
        sock.setblocking(False)
        stack.pop_all()
    return sock


def _open(address: Address, kind: socket.SocketKind, mode: int) -> tuple[socket.socket, Any]:
    """Return an unbound socket and the place to bind it to."""
    if address.path:
        _clear_stale(address, kind)
        sock = socket.socket(socket.AF_UNIX, kind)
        # fchmod on the unbound socket sets the mode that bind gives the file (less the umask), so
        # it is never more open than asked for, not even for a moment.
        os.fchmod(sock.fileno(), mode)
        return sock, address.path
    found = socket.getaddrinfo(
        address.host or None, address.port, type=kind, flags=socket.AI_PASSIVE
    )
    # A name that has addresses of both kinds is bound where StatsD's clients send: to IPv4.
    family, _, protocol, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock, place


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

"""Sockets that never block their caller: UDP, Unix datagrams, TCP, Unix streams.

`prepare` resolves and connects; only the flusher calls it, on its own thread. `send` never waits,
and says what became of the bytes:

    SENT    the kernel has them
    HELD    they are still the caller's: nobody listens, or the queue is full (`is_congested`)
    LOST    they can never be sent: longer than the socket takes

A datagram to this machine that nobody listened to is HELD, not lost. Loopback reports a closed
port before `send` returns, as the socket's pending error, and a Unix socket reports it at once.
From another machine the report comes later, if ever, and belongs to an earlier datagram; so it
may when several threads send at once. Such a report is put into `late_refusals`.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import suppress
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vitald.client.target import Target

SENT, HELD, LOST = "sent", "held", "lost"

_CONGESTED = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM})
_CONNECT_TIMEOUT = 2.0
# A name is looked up again this often (seconds), so that a service moved elsewhere is followed.
_RESOLVE_EVERY = 60.0
_MAX_PAUSE = 30.0


class Transport:
    """One socket to one target.

    `is_stale` says that the next `prepare` should connect anew; `error` is why the last attempt
    failed, for people. `moves` counts how often the target's name led to another address.
    """

    # Whether any thread may call `send` at any time.
    shareable = True

    def __init__(self, target: Target) -> None:
        self.target = target
        self.error = ""
        self.is_congested = False
        self.is_stale = True
        self.moves = 0
        self.late_refusals: list[None] = []
        self._sock: socket.socket | None = None
        # The device and inode of a Unix socket's path.
        self._connected_to: tuple[int, int] | tuple[()] = ()
        self._retry_at = 0.0
        self._pause = 0.0

    def prepare(self) -> None:
        """Resolve and connect when there is no good socket; failures leave `error` and a pause."""
        now = monotonic()
        if now < self._retry_at or not self._needs_socket(now):
            return
        try:
            self._connect()
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that IDNA refuses
            self._fail(error)
            # Connecting again costs nothing; a resolver is spared.
            if isinstance(error, socket.gaierror):
                self._pause = min(_MAX_PAUSE, self._pause * 2 or 1.0)
                self._retry_at = now + self._pause
        else:
            self.error, self.is_stale = "", False
            self._retry_at = self._pause = 0.0

    def send(self, data: bytes) -> str:
        """Send one datagram's worth of lines; SENT, HELD or LOST."""
        raise NotImplementedError

    def wait(self, seconds: float) -> bool:
        """Wait until a congested socket takes more; for the flusher alone."""
        sock = self._sock
        if sock is None:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        return bool(poll.poll(seconds * 1000.0))

    def close(self) -> None:
        """Close the socket; `send` holds everything from now on."""
        sock, self._sock = self._sock, None
        self.is_stale = True
        if sock is not None:
            sock.close()

    def reset(self) -> None:
        """Drop what a fork copied: the parent's socket, its remainders, its pauses."""
        self.close()
        self.error = ""
        self.is_congested = False
        self.late_refusals.clear()
        self._retry_at = self._pause = 0.0

    def has_remainder(self) -> bool:
        """Return whether a part of what was SENT still waits here for the kernel to take it."""
        return False

    def _needs_socket(self, now: float) -> bool:  # noqa: ARG002  UDP looks at the time
        return self.is_stale or self._is_replaced()

    def _is_replaced(self) -> bool:
        """Return whether the path is another socket's now, while ours may still have a reader.

        A path that is gone says nothing: whoever listened may be on the way out and read on.
        """
        if not self.target.path:
            return False
        identity = _identity(self.target.path)
        return bool(identity) and identity != self._connected_to

    def _connect(self) -> None:
        raise NotImplementedError

    def _connect_path(self, kind: socket.SocketKind, timeout: float) -> None:
        # Before connecting: if it is replaced in between, it is connected to once too often.
        identity = _identity(self.target.path)
        sock = socket.socket(socket.AF_UNIX, kind)
        try:
            sock.settimeout(timeout)
            sock.connect(self.target.path)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        self._connected_to = identity
        self._replace(sock)

    def _replace(self, sock: socket.socket) -> None:
        old, self._sock = self._sock, sock
        if old is not None:
            old.close()

    def _fail(self, error: Exception) -> str:
        self.error = getattr(error, "strerror", None) or str(error)
        return HELD


class DatagramTransport(Transport):
    """A connected datagram socket, so that the kernel reports a receiver that is not there."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        # Whether an unheard datagram is reported before `send` returns.
        self._reports_at_once = False

    def send(self, data: bytes) -> str:
        sock = self._sock
        if sock is None:
            return HELD
        self.is_congested = False
        try:
            try:
                sock.send(data)
            except ConnectionRefusedError as error:
                if self.target.path:
                    raise
                # The report of an earlier datagram; reading it cleared it, so this one may go.
                self.late_refusals.append(None)
                self._fail(error)
                sock.send(data)
            if self._reports_at_once:
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    return self._fail(OSError(code, "connection refused"))
        except OSError as error:
            return self._refuse(error)
        return SENT

    def _refuse(self, error: OSError) -> str:
        if error.errno == errno.EMSGSIZE:
            return LOST
        if error.errno in _CONGESTED:
            self.is_congested = True
        else:
            self.is_stale = True
        return self._fail(error)


class UdpTransport(DatagramTransport):
    """UDP to a host by name or address; IPv4 first where a name has both."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._address: tuple[object, ...] = ()
        self._resolved_at = 0.0

    def _needs_socket(self, now: float) -> bool:
        return self.is_stale or now - self._resolved_at > _RESOLVE_EVERY

    def _connect(self) -> None:
        host, port = _host(self.target), self.target.port
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        # The sidecar's default listener is 127.0.0.1, and "localhost" often resolves to ::1 first.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        self._resolved_at = monotonic()
        if self._sock is not None and address == self._address and not self.is_stale:
            return
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        self.moves += self._address not in {(), address}
        self._address = address
        number = str(address[0])
        self._reports_at_once = number.startswith("127.") or number == "::1"
        self._replace(sock)


class UnixDatagramTransport(DatagramTransport):
    """Datagrams to a Unix socket; a full queue (a receiver that is stopped) is congestion."""

    def _connect(self) -> None:
        self._connect_path(socket.SOCK_DGRAM, 0.0)


class StreamTransport(Transport):
    """Lines over TCP or a Unix stream socket.

    When a connection breaks inside a line, the receiver rejects the part it got, so the line is
    sent again over the next connection. Lines that the kernel took and the receiver never read
    are lost unseen: a stream tells no one.
    """

    shareable = False

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._frame = b""
        self._written = 0

    def send(self, data: bytes) -> str:
        if self._sock is None or not self._push():
            return HELD
        self._frame, self._written = data + b"\n", 0
        if not self._push() and not self._written and len(self._frame) == len(data) + 1:
            self._frame = b""  # nothing of it went out
            return HELD
        return SENT

    def prepare(self) -> None:
        if self._sock is not None and not self.is_stale and self._is_closed_by_peer():
            self._lose_connection()
        elif self._sock is not None and self._is_replaced() and not self._push():
            # The old reader does not read: what it has no whole line of is the new one's.
            self._lose_connection()
        super().prepare()
        if self._sock is not None:
            self._push()

    def has_remainder(self) -> bool:
        return self._written < len(self._frame)

    def close(self) -> None:
        if self._sock is not None:
            with suppress(OSError):  # the peer is gone: there is nothing to end in order
                self._sock.shutdown(socket.SHUT_WR)
        super().close()

    def reset(self) -> None:
        self._frame, self._written = b"", 0
        # Not `close`: shutting the copy down would end the parent's connection.
        Transport.close(self)
        super().reset()

    def _push(self) -> bool:
        """Write the remainder; return whether all of it is out."""
        self.is_congested = False
        while self._sock is not None and self._written < len(self._frame):
            if not self._write(self._sock):
                return False
        return self._written >= len(self._frame)

    def _write(self, sock: socket.socket) -> bool:
        """Write what the kernel takes; return False when it takes nothing now."""
        try:
            self._written += sock.send(memoryview(self._frame)[self._written :])
        except OSError as error:
            self._fail(error)
            if error.errno in _CONGESTED:
                self.is_congested = True
            else:
                self._lose_connection()
            return False
        return True

    def _lose_connection(self) -> None:
        Transport.close(self)
        self._frame = self._frame[self._frame.rfind(b"\n", 0, self._written) + 1 :]
        self._written = 0

    def _is_closed_by_peer(self) -> bool:
        if self._sock is None:
            return True
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except OSError as error:
            return error.errno not in _CONGESTED

    def _connect(self) -> None:
        if self.target.path:
            self._connect_path(socket.SOCK_STREAM, _CONNECT_TIMEOUT)
            return
        address = (_host(self.target), self.target.port)
        sock = socket.create_connection(address, _CONNECT_TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self._replace(sock)


def _host(target: Target) -> Any:
    """Return the host as the resolver takes it, in bytes when it is ASCII.

    Text makes Python import its IDNA codec; a process that forks just then has a child in which
    that import never ends.
    """
    return target.host.encode() if target.host.isascii() else target.host


def _identity(path: str) -> tuple[int, int] | tuple[()]:
    try:
        found = os.stat(path)  # noqa: PTH116  importing pathlib costs more than this package
    except OSError:
        return ()
    return found.st_dev, found.st_ino


def open_transport(target: Target) -> Transport:
    """Return the transport of a target, not yet connected."""
    kinds: dict[str, type[Transport]] = {"udp": UdpTransport, "unixgram": UnixDatagramTransport}
    return kinds.get(target.scheme, StreamTransport)(target)

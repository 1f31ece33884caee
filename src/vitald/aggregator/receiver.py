"""Draining a datagram socket: many datagrams a wake-up, one hand-over to the engine.

One asyncio callback per datagram costs about ten times what the datagram itself does; a loop over
`recv` until the queue is empty does not. It stops after `BUDGET` datagrams or `BUDGET_BYTES`, so
that the event loop gets its turn under any load.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.aggregator.accounts import Traffic

BUDGET = 256
BUDGET_BYTES = 400_000

# Larger than any UDP payload (65,507 bytes over IPv4, 65,527 over IPv6), so only a Unix datagram
# can be cut.
SIZE = 65_536

# What a Unix datagram socket may hold: 512 datagrams (net.unix.max_dgram_qlen, as systemd sets it).
_MOST_WAITING = 512 * SIZE

# However slow the lines are that a sender goes on with; the rest is lost when the socket closes.
_DRAIN_SECONDS = 1.0

# asm-generic/socket.h; the ninth word is sk_drops (net/core/sock.c, sk_get_meminfo).
_SO_MEMINFO = 55
_SO_COOKIE = 57
_COOKIE_SIZE = 8
_MEMINFO = struct.Struct("=9I")


class Receiver:
    """One bound, non-blocking datagram socket.

    `take(data, cut)` gets lines; `cut` says that the last one's end was lost. `drops_seen` is what
    the kernel said last, by socket, for all receivers of an engine: a socket that is attached again
    has its drops counted once.
    """

    def __init__(
        self,
        sock: socket.socket,
        traffic: Traffic,
        take: Callable[[bytes, bool], None],
        drops_seen: dict[bytes, int],
    ) -> None:
        self._sock = sock
        self._traffic = traffic
        self._take = take
        self._is_unix = sock.family == socket.AF_UNIX
        # Received into and copied out: a fresh 64 KiB object a datagram costs more than the copy.
        self._view = memoryview(bytearray(SIZE))
        self._drops_seen = drops_seen
        self.account_drops()

    def drain(self) -> None:
        """Take what there is, within the budget."""
        batch, cut = self._receive()
        if batch:
            self._take(b"\n".join(batch), False)
        if cut is not None:
            self._take(cut, True)

    def drain_all(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take what the kernel holds now, within bounds that a flooding sender cannot stretch."""
        deadline = clock() + _DRAIN_SECONDS
        room = (
            _MOST_WAITING
            if self._is_unix
            else self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        )
        end, before = self._traffic.bytes + room, -1
        while (
            before != self._traffic.datagrams and self._traffic.bytes < end and clock() < deadline
        ):
            before = self._traffic.datagrams
            self.drain()
        self.account_drops()

    def account_drops(self) -> None:
        """Read how many datagrams the kernel dropped because the receive buffer was full."""
        if self._is_unix:
            return  # the sender is told instead: a full Unix datagram socket drops nothing
        words = _MEMINFO.unpack(
            self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        )
        # The same by every descriptor of the socket, and never used for another one.
        cookie = self._sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE_SIZE)
        fresh = (words[8] - self._drops_seen.get(cookie, 0)) % 2**32
        self._drops_seen[cookie] = words[8]
        self._traffic.kernel_dropped = (self._traffic.kernel_dropped or 0) + fresh

    def _receive(self) -> tuple[list[bytes], bytes | None]:
        """Return whole datagrams, and the one after them if it was cut: order matters to gauges."""
        batch: list[bytes] = []
        cut = None
        receive, view = self._sock.recv_into, self._view
        size = 0
        try:
            for _ in range(BUDGET):
                # With MSG_TRUNC the call returns the datagram's true length.
                length = receive(view, 0, socket.MSG_TRUNC)
                size += length
                if length > SIZE:
                    cut = bytes(view)
                    break
                batch.append(bytes(view[:length]))
                if size > BUDGET_BYTES:
                    break
        except BlockingIOError:
            pass
        except OSError:
            self._traffic.errors += 1
        self._traffic.datagrams += len(batch) + (cut is not None)
        self._traffic.bytes += size
        return batch, cut

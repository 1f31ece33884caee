"""Draining a datagram socket: many datagrams a wake-up, one hand-over to the engine.

One asyncio callback per datagram costs about ten times what the datagram itself does; a loop over
`recv` until the queue is empty does not. It stops after `BUDGET` datagrams, so that the event loop
gets its turn under any load.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.aggregator.accounts import Traffic

BUDGET = 256

# Larger than any UDP payload (65,507 bytes over IPv4, 65,527 over IPv6), so only a Unix datagram
# can be cut.
SIZE = 65_536

# asm-generic/socket.h; the ninth word is sk_drops (net/core/sock.c, sk_get_meminfo).
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")


class Receiver:
    """One bound, non-blocking datagram socket.

    `take(data, cut)` gets lines; `cut` says that the last one's end was lost.
    """

    def __init__(
        self, sock: socket.socket, traffic: Traffic, take: Callable[[bytes, bool], None]
    ) -> None:
        self._sock = sock
        self._traffic = traffic
        self._take = take
        self._is_unix = sock.family == socket.AF_UNIX
        # Received into and copied out: a fresh 64 KiB object a datagram costs more than the copy.
        self._view = memoryview(bytearray(SIZE))
        self._drops_seen = 0
        self.account_drops()

    def drain(self) -> int:
        """Take at most `BUDGET` datagrams; return how many there were."""
        batch = self._receive()
        if batch:
            self._traffic.datagrams += len(batch)
            self._traffic.bytes += sum(map(len, batch))
            self._take(b"\n".join(batch), False)
        return len(batch)

    def drain_all(self) -> None:
        """Take what the kernel holds now, within a bound that a flooding sender cannot stretch."""
        for _ in range(1000):
            if self.drain() < BUDGET:
                break
        self.account_drops()

    def account_drops(self) -> None:
        """Read how many datagrams the kernel dropped because the receive buffer was full."""
        if self._is_unix:
            return  # the sender is told instead: a full Unix datagram socket drops nothing
        words = _MEMINFO.unpack(
            self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        )
        fresh = (words[8] - self._drops_seen) % 2**32
        self._drops_seen = words[8]
        self._traffic.kernel_dropped = (self._traffic.kernel_dropped or 0) + fresh

    def _receive(self) -> list[bytes]:
        batch: list[bytes] = []
        receive, view = self._sock.recv_into, self._view
        try:
            for _ in range(BUDGET):
                # With MSG_TRUNC the call returns the datagram's true length.
                length = receive(view, 0, socket.MSG_TRUNC)
                data = bytes(view[:length])
                if length <= SIZE:
                    batch.append(data)
                else:
                    self._traffic.datagrams += 1
                    self._traffic.bytes += length
                    self._take(data, True)
        except BlockingIOError:
            pass
        except OSError:
            self._traffic.errors += 1
        return batch

"""Stream listeners (TCP, Unix stream): one line ends at each line feed.

A line that the end of the connection cuts is rejected as truncated, never counted by halves; so is
a line longer than `MOST_LINE`, of which only the beginning is kept.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

log = logging.getLogger(__name__)

MOST_LINE = 65_536
MOST_CONNECTIONS = 256

# Read of one connection in one turn of the event loop: all of them together hold it but shortly.
TURN_BYTES = 16_384

# How long a stop goes on reading, in seconds, whatever senders do.
_DRAIN_SECONDS = 2.0
_TURNS = 5


class LineFramer:
    """Cuts a stream into whole lines; no I/O.

    `take(lines, cut)` gets joined lines; `cut` says that the last one's end was lost.
    """

    def __init__(self, take: Callable[[bytes, bool], None]) -> None:
        self._take = take
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._skipping:
            _, found, data = data.partition(b"\n")
            if not found:
                return
            self._skipping = False
        data = self._rest + data
        whole, found, self._rest = data.rpartition(b"\n")
        if found:
            self._take(whole, False)
        if len(self._rest) > MOST_LINE:
            self._take(self._rest[:MOST_LINE], True)
            self._rest = b""
            self._skipping = True

    def end(self) -> None:
        """Note that the stream is over: what has no line feed was cut."""
        if self._rest:
            self._take(self._rest, True)
            self._rest = b""


class StreamListener:
    """Accepts connections on a listening socket and hands their lines over.

    `refused` counts the connections beyond `MOST_CONNECTIONS`.
    """

    def __init__(self, sock: socket.socket, take: Callable[[bytes, bool], None]) -> None:
        self._sock = sock
        self._take = take
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Transport] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._received = 0
        # One for all connections: what is read into it is copied out at once.
        self.buffer = memoryview(bytearray(TURN_BYTES))
        self.refused = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=self._sock)

    async def stop(self) -> None:
        """Take what was sent already, stop accepting, close every connection."""
        if self._server is None:
            return
        await self._drain()
        self._server.close()
        for transport in self._connections:
            transport.close()
        await self._idle.wait()
        await self._server.wait_closed()

    async def _drain(self) -> None:
        """Read until nothing more has arrived, within a bound that a sender cannot stretch."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DRAIN_SECONDS
        while loop.time() < deadline:
            before = self._received
            # Turns to find the readable sockets, to accept, to make the connection, to read it.
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if self._received == before:
                return

    def accept(self, transport: asyncio.Transport) -> LineFramer | None:
        """Return a framer for a new connection, None when there are too many."""
        if len(self._connections) >= MOST_CONNECTIONS:
            if not self.refused:
                log.warning("turning connections away: %d are open", MOST_CONNECTIONS)
            self.refused += 1
            transport.abort()
            return None
        self._connections.add(transport)
        self._idle.clear()
        return LineFramer(self._take)

    def note(self, received: int) -> None:
        """Note that bytes came in."""
        self._received += received

    def forget(self, transport: asyncio.Transport) -> None:
        """Note that a connection is over."""
        self._connections.discard(transport)
        if not self._connections:
            self._idle.set()


class _Connection(asyncio.BufferedProtocol):
    def __init__(self, listener: StreamListener) -> None:
        self._listener = listener
        self._framer: LineFramer | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._framer = self._listener.accept(self._transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._framer is not None:
            self._listener.note(nbytes)
            self._framer.feed(bytes(self._listener.buffer[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._framer is not None:
            self._framer.end()
        if self._transport is not None:
            self._listener.forget(self._transport)

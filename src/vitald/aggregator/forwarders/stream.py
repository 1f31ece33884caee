"""Deliver bytes over TCP to a server that never answers, and know whether it read them.

The line and pickle protocols of carbon have no acknowledgement: a write succeeds as soon as this
kernel has the bytes, also when the server is about to go. What TCP does tell is which end of the
connection was closed first. Each delivery has its own connection: after the last byte we close our
half, and the server closes its half when it reads that end, which it meets behind all data. A
server that closed its half before that may not have read everything.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from typing import TYPE_CHECKING

from vitald.errors import ForwardError, system_cause

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from vitald.aggregator.forwarders.endpoint import Endpoint

# Of net/tcp_states.h. ESTABLISHED: neither end is closed. LAST_ACK, CLOSING: both are, and the
# server closed before it had our end.
_ESTABLISHED = 1
_CLOSED_EARLY = frozenset({9, 11})


async def deliver(endpoint: Endpoint, chunks: AsyncGenerator[bytes, None]) -> None:
    """Send all chunks over one connection; return when the server has read them.

    Raises `ForwardError` (retryable) when it may not have. Bounded by the caller's time-out.
    """
    try:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    except OSError as error:
        raise ForwardError(f"cannot connect to {endpoint}: {system_cause(error)}") from error
    try:
        sock = writer.get_extra_info("socket")
        # Then `drain` returns when this kernel has everything.
        writer.transport.set_write_buffer_limits(high=0)
        async with aclosing(chunks):
            async for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
        is_open = _state(sock) == _ESTABLISHED
        writer.write_eof()
        while await reader.read(65536):
            pass
        if not is_open or _state(sock) in _CLOSED_EARLY:
            raise ForwardError(f"cannot send to {endpoint}: it closed the connection too early")
    except OSError as error:
        raise ForwardError(f"cannot send to {endpoint}: {system_cause(error)}") from error
    finally:
        writer.transport.abort()


def _state(sock: socket.socket) -> int:
    # `struct tcp_info` of linux/tcp.h begins with the state.
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

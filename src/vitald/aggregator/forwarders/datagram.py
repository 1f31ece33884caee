"""Send datagrams over UDP or a Unix datagram socket without blocking the loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING

from vitald.errors import ForwardError, system_cause

if TYPE_CHECKING:
    from collections import deque

    from vitald.aggregator.forwarders.endpoint import Endpoint


async def send_all(endpoint: Endpoint, datagrams: deque[bytes]) -> None:
    """Send datagrams, taking each from the left once the kernel has it; wait where a queue is full.

    Raises `ForwardError` (retryable) when nobody receives. Over UDP only a receiver on this host
    can be seen to be absent: its refusal arrives before the send returns.
    """
    try:
        with await _connect(endpoint) as sock:
            while datagrams:
                await asyncio.get_running_loop().sock_sendall(sock, datagrams[0])
                _raise_refusal(sock)
                datagrams.popleft()
    except OSError as error:
        raise ForwardError(f"cannot send to {endpoint}: {system_cause(error)}") from error


async def _connect(endpoint: Endpoint) -> socket.socket:
    if endpoint.path:
        return _connected(socket.AF_UNIX, endpoint.path)
    found = await asyncio.get_running_loop().getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_DGRAM
    )
    # IPv4 first: agents listen on 127.0.0.1, and over UDP nothing tells that ::1 was wrong.
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    refusal = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    for family, _, _, _, address in found:
        try:
            return _connected(family, address)
        except OSError as error:  # noqa: PERF203 - the next address may do
            refusal = error
    raise refusal


def _connected(family: int, address: object) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address)  # type: ignore[arg-type]
    except BaseException:
        sock.close()
        raise
    return sock


def _raise_refusal(sock: socket.socket) -> None:
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))

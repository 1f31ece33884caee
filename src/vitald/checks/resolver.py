"""Names to addresses, off the event loop, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from vitald.checks.threads import DaemonPool

if TYPE_CHECKING:
    from collections.abc import Sequence

# getaddrinfo cannot be cancelled: while no name server answers, a lookup holds its thread for up
# to half a minute. The loop's own executor would fill up with them, stall everything else that
# uses it, and be waited for at exit. Here lookups stall lookups only, and the check that waits
# for one ends at its own deadline.
_pool = DaemonPool("lookup", 16)

# What socket.getaddrinfo returns: (family, type, protocol, canonical name, socket address).
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


async def lookup(host: str, port: int, family: int = socket.AF_UNSPEC) -> Sequence[AddressInfo]:
    """Return the stream addresses of `host`, best first. Raises OSError with the reason."""
    with contextlib.suppress(OSError):
        return _getaddrinfo(host, port, family, socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell() -> None:
        # The loop may be gone when the name server answers after all.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    job = _pool.submit(lambda: _getaddrinfo(host, port, family, 0), tell)
    try:
        await done.wait()
    finally:
        job.drop()
    if job.error is not None:
        raise job.error
    return job.value or ()


def _getaddrinfo(host: str, port: int, family: int, flags: int) -> Sequence[AddressInfo]:
    try:
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)
    except UnicodeError:
        # The IDNA codec's word on empty and overlong labels.
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None

"""What the end of a process and a fork mean for clients.

At a normal end (return, `sys.exit`, an uncaught exception) every client is closed, so what was
recorded is sent. In a child of `os.fork` every client begins anew: what its parent recorded is the
parent's to send. Nothing runs after `os._exit` or a signal that kills; pools, whose children end
so, are asked to call us before (`vitald.client.pools`), and SIGTERM may be caught
(`vitald.client.termination`).
"""

from __future__ import annotations

import atexit
import os
from time import monotonic

from vitald.client import pools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Closable(Protocol):
        """A flusher."""

        def flush(self, timeout: float) -> bool: ...
        def close(self, timeout: float) -> bool: ...
        def after_fork(self) -> None: ...


# How long the end of the process may wait for the receivers, in seconds.
EXIT_TIMEOUT = 2.0

_live: list[Closable] = []


class _End:
    """The end of this process: `is_near` while clients are closed, `afterwards` runs after it."""

    def __init__(self) -> None:
        self.is_near = False
        self.afterwards: list[Callable[[], None]] = []


end = _End()


def watch(flusher: Closable) -> None:
    """Close this one at the end of the process, and renew it in children."""
    _live.append(flusher)
    pools.follow_in_child(flush_all)


def unwatch(flusher: Closable) -> None:
    """Forget one that is closed."""
    if flusher in _live:
        _live.remove(flusher)


def flush_all(timeout: float = EXIT_TIMEOUT) -> bool:
    """Flush every client within `timeout` seconds; return whether the kernel took everything."""
    return _each(lambda flusher, seconds: flusher.flush(seconds), timeout)


def _close_all() -> None:
    end.is_near = True
    try:
        _each(lambda flusher, seconds: flusher.close(seconds), EXIT_TIMEOUT)
    finally:
        end.is_near = False
        while end.afterwards:
            end.afterwards.pop(0)()


def _each(act: Callable[[Closable, float], bool], timeout: float) -> bool:
    """Act on every client; one that has no receiver leaves the others their share of the time."""
    deadline = monotonic() + timeout
    flushers = _live[:]
    is_done = True
    for index, flusher in enumerate(flushers):
        left = max(0.0, deadline - monotonic())
        is_done = act(flusher, left / (len(flushers) - index)) and is_done
    return is_done


def _before_fork() -> None:
    pools.follow(flush_all)


def _in_child() -> None:
    end.is_near = False
    end.afterwards.clear()
    for flusher in _live[:]:
        flusher.after_fork()


atexit.register(_close_all)
os.register_at_fork(before=_before_fork, after_in_child=_in_child)

"""What the end of a process and a fork mean for clients.

At a normal end (return, `sys.exit`, an uncaught exception) every client is closed, so what was
recorded is sent. In a child of `os.fork` every client begins anew: what its parent recorded is the
parent's to send. Nothing runs after `os._exit` or a signal that kills.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Closable(Protocol):
        """A flusher."""

        def flush(self, timeout: float) -> bool: ...
        def close(self, timeout: float) -> bool: ...
        def after_fork(self) -> None: ...


# How long the end of the process may wait for the receiver, in seconds.
EXIT_TIMEOUT = 2.0

_live: list[Closable] = []

# They end a child with `os._exit`, which skips `atexit` (CPython until 3.12), after running their
# own finalizers. Celery's pool is billiard.
_POOLS = ("multiprocessing.util", "billiard.util")
_followed: set[str] = set()
_finishing: list[int] = []


def watch(flusher: Closable) -> None:
    """Close this one at the end of the process, and renew it in children."""
    _live.append(flusher)
    _follow_pools()
    if _finishing != [os.getpid()]:  # this may be a pool's child already
        _finish_with_the_child()


def unwatch(flusher: Closable) -> None:
    """Forget one that is closed."""
    if flusher in _live:
        _live.remove(flusher)


def _close_all() -> None:
    for flusher in _live[:]:
        flusher.close(EXIT_TIMEOUT)


def _flush_all() -> None:
    for flusher in _live[:]:
        flusher.flush(EXIT_TIMEOUT)


def _follow_pools() -> None:
    """Have the pools that are imported by now call us in their children."""
    for name in _POOLS:
        util: Any = sys.modules.get(name)
        if util is not None and name not in _followed:
            _followed.add(name)
            # The child forgets all finalizers when it begins, and then calls these.
            util.register_after_fork(_close_all, lambda _: _finish_with_the_child())


def _finish_with_the_child() -> None:
    """Flush when this process ends a pool's way."""
    _finishing[:] = [os.getpid()]
    for name in _POOLS:
        util: Any = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, _flush_all, exitpriority=100)


def _in_child() -> None:
    for flusher in _live[:]:
        flusher.after_fork()


atexit.register(_close_all)
os.register_at_fork(before=_follow_pools, after_in_child=_in_child)

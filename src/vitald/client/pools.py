"""Children of pools, which end with `os._exit`: no `atexit`, so each pool is asked in its own way.

`multiprocessing` and billiard run finalizers before; Celery's prefork pool runs none and sends a
signal. A pool is followed when it is imported by the time of a fork or of a client's beginning;
importing one is not ours.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Flush = Callable[[], object]

_FINALIZING = ("multiprocessing.util", "billiard.util")
# Before every finalizer, should one never return; and after the last, which may have recorded.
_FIRST, _LAST = 100, -1_000_000

_CELERY_UID = "vitald.client"

# Those whose children call us already; billiard's functions may be those of multiprocessing.
_followed: list[Any] = []
# The process in which finalizers are registered.
_finishing: list[int] = []


def follow(flush: Flush) -> None:
    """Have the children of the pools that are imported by now call `flush` before they end."""
    with suppress(Exception):  # a pool of another version than those that are known
        for util in _finalizing():
            register: Any = util.register_after_fork
            if register not in _followed:
                _followed.append(register)
                # The child forgets all finalizers when it begins, and then calls these.
                register(flush, _finish_with_the_child)
    with suppress(Exception):
        _follow_celery(flush)


def follow_in_child(flush: Flush) -> None:
    """Do the same in a process that may be a pool's child already."""
    follow(flush)
    if _finishing != [os.getpid()]:
        _finish_with_the_child(flush)


def _finalizing() -> list[Any]:
    return [sys.modules[name] for name in _FINALIZING if name in sys.modules]


def _finish_with_the_child(flush: Flush) -> None:
    """Flush when this process ends a pool's way."""
    _finishing[:] = [os.getpid()]
    with suppress(Exception):
        for util in _finalizing():
            util.Finalize(None, flush, exitpriority=_FIRST)
            util.Finalize(None, _flush_last, (flush,), exitpriority=_LAST)


def _flush_last(flush: Flush) -> None:
    """Flush, and once more when the threads that go on have ended.

    `multiprocessing` joins them after the finalizers, and its next step is `os._exit`: whatever is
    to happen between the two has to be a thread that is joined, too.
    """
    flush()
    threading = sys.modules.get("threading")
    if threading is not None and _others(threading):
        with suppress(RuntimeError):  # no more threads can be started
            threading.Thread(target=_flush_after_the_others, args=(threading, flush)).start()


def _flush_after_the_others(threading: Any, flush: Flush) -> None:
    while others := _others(threading):
        for thread in others:
            thread.join()
    flush()


def _others(threading: Any) -> list[Any]:
    """Return the threads that the end of the process waits for, but for this and the main one."""
    not_these = {threading.current_thread(), threading.main_thread()}
    return [one for one in threading.enumerate() if not one.daemon and one not in not_these]


def _follow_celery(flush: Flush) -> None:
    signals: Any = sys.modules.get("celery.signals")
    if signals is None:
        return
    signal = signals.worker_process_shutdown

    def flush_at_shutdown(**_: Any) -> None:
        flush()

    # Receivers are called in the order in which they were connected: those that record come first.
    # Looking comes before connecting, whose lock a fork in another thread would copy.
    if not signal.receivers or signal.receivers[-1][0][0] != _CELERY_UID:
        signal.disconnect(dispatch_uid=_CELERY_UID)
        signal.connect(flush_at_shutdown, weak=False, dispatch_uid=_CELERY_UID)

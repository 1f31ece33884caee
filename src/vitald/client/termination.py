"""SIGTERM, for programs that let it kill them or that handle it without flushing.

Not used unless asked for: a library must not take a signal from its program.
"""

from __future__ import annotations

import os
import signal
from _thread import allocate_lock, start_new_thread
from contextlib import suppress
from time import monotonic, sleep

from vitald.client import lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object]

# How long a SIGTERM may be held up, in seconds.
TIMEOUT = 2.0

_RETRY_SECONDS, _LOST_SECONDS = 0.001, 0.05
# The one module of ours from which the program's own functions are called.
_CALLS_THE_PROGRAM = "vitald.client.timing"


def flush_on_sigterm() -> None:
    """Have SIGTERM flush every client, at most 2 s, before it does what it did until now.

    That is the handler that is set, or the default action: the process is killed by SIGTERM, for
    its parent to see. An ignored SIGTERM stays ignored, and a second one does not wait. Children
    of `os.fork` inherit it; a program that sets a handler of its own later calls this after it.

    RuntimeError off the main thread, which alone can set a handler, and when the handler that is
    set cannot be called from Python.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if previous is signal.SIG_IGN or isinstance(previous, _FlushFirst):
        return
    if previous is None:
        raise RuntimeError("cannot flush on SIGTERM: its handler was not set by Python")
    chained = None if previous is signal.SIG_DFL else previous
    try:
        signal.signal(signal.SIGTERM, _FlushFirst(chained))  # type: ignore[arg-type]
    except ValueError:
        raise RuntimeError(
            "cannot flush on SIGTERM: only the main thread can set a signal's handler"
        ) from None


class _Turn:
    """One SIGTERM on its way from its arrival to the next handler, in one process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.is_flushed = self.is_overdue = False
        # Taken while a signal that was sent again has not come yet.
        self.is_under_way = allocate_lock()

    def arrived(self) -> None:
        if self.is_under_way.locked():
            self.is_under_way.release()


class _FlushFirst:
    """A handler of SIGTERM that flushes and then hands the signal on.

    It runs on the main thread, between any two steps of it. If those are ours, a lock may be held
    that the flusher needs, or values be on their way from one list to another, which an exception
    of the next handler would lose. Then it returns: a thread flushes meanwhile, and sends the
    signal again until it comes at a better moment.
    """

    def __init__(self, chained: Handler | None) -> None:
        self._chained = chained
        self._turn: _Turn | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        turn = self._turn
        if turn is None or turn.process != os.getpid():  # a fork copied it: it is the parent's
            self._turn = turn = _Turn()
            if self._is_put_off(turn, number, frame):
                return
        elif turn.is_flushed and not turn.is_overdue and _is_ours(frame):
            turn.arrived()
            return
        self._hand_on(number, frame)

    def _is_put_off(self, turn: _Turn, number: int, frame: FrameType | None) -> bool:
        """Flush; return whether the signal is handed on later."""
        if lifecycle.end.is_near:  # the clients are being closed, and no thread may start any more
            lifecycle.end.afterwards.append(lambda: self._hand_on(number, frame))
            return True
        with suppress(Exception):  # gevent's hub may not wait; its greenlets may
            if not _is_ours(frame):
                lifecycle.flush_all(TIMEOUT)
                return False
        try:
            start_new_thread(self._flush_aside, (turn,))
        except RuntimeError:
            return False  # no more threads can be started
        return True

    def _flush_aside(self, turn: _Turn) -> None:
        deadline = monotonic() + TIMEOUT
        lifecycle.flush_all(TIMEOUT)
        turn.is_flushed = True
        while self._turn is turn:
            turn.is_overdue = monotonic() > deadline
            turn.is_under_way.acquire(blocking=False)
            os.kill(turn.process, signal.SIGTERM)
            # Not before it came: what is sent twice would be handed on twice. But a signal right
            # before a system call does not interrupt it; the next one does.
            while not turn.is_under_way.acquire(timeout=_LOST_SECONDS) and self._turn is turn:
                os.kill(turn.process, signal.SIGTERM)
            sleep(_RETRY_SECONDS)

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.arrived()
        if self._chained is not None:
            self._chained(number, frame)
            return
        ours = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)
        # The first process of a container is not killed by the default action.
        signal.signal(signal.SIGTERM, ours)


def _is_ours(frame: FrameType | None) -> bool:
    """Return whether what was interrupted is this package's code, or was called from it."""
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.startswith("vitald.client.") and module != _CALLS_THE_PROGRAM:
            return True
        frame = frame.f_back
    return False

"""A client's flusher without a thread and without a socket: what it does is done in the call.

This is the one file of the test kit that knows how a client is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.client import lifecycle
from vitald.client.flusher import Flusher
from vitald.client.series import LIMIT
from vitald.client.transport import SENT, Transport

if TYPE_CHECKING:
    from vitald.client.series import Series


class Tape(Transport):
    """Takes every datagram and keeps it."""

    datagrams: list[bytes]

    def prepare(self) -> None:
        self.is_stale = False

    def send(self, data: bytes) -> str:
        self.datagrams.append(data)
        return SENT

    def reset(self) -> None:
        super().reset()
        self.datagrams = []


class InlineFlusher(Flusher):
    """Makes its passes in the thread of whoever flushes, or finds that too much is waiting."""

    __slots__ = ()

    def relieve(self, series: Series) -> None:
        if series.limit == 0 and not self.is_closed:
            # Without a thread, too: over its limit a series wakes whoever makes the pass.
            series.limit = LIMIT
        else:
            super().relieve(series)

    def wake(self) -> None:
        # Not while a pass is made: a signal handler may be above it.
        if not self._pass_lock.locked() and self._has_news():
            self._serve()

    def _start(self) -> bool:
        return False

    def _breathe(self, datagrams: int = 0) -> None:
        """Go on: there is no receiver that could fall behind."""


class IdleFlusher(Flusher):
    """Forgets every value in the call that recorded it."""

    __slots__ = ()

    def relieve(self, series: Series) -> None:
        # The limit stays 0, so that every value comes here.
        series.discard()

    def flush(self, timeout: float | None) -> bool:  # noqa: ARG002  nothing ever waits
        return True

    def close(self, timeout: float | None) -> bool:  # noqa: ARG002  there is nothing to close
        self.is_closed = True
        return True


def record_on_tape(flusher: Flusher) -> Tape:
    """Have a new client's flusher send to a tape, without a thread; return the tape."""
    tape = Tape(flusher.transport.target)
    flusher.__class__ = InlineFlusher
    flusher.transport = tape
    # Makes the queue in front of the transport anew.
    flusher.after_fork()
    return tape


def forget_everything(flusher: Flusher) -> None:
    """Have a new client's flusher keep nothing of what is recorded."""
    flusher.__class__ = IdleFlusher
    lifecycle.unwatch(flusher)

"""What became of every value a client was given, in counts that any thread may add to."""

from __future__ import annotations

from _thread import allocate_lock

REASONS = (
    "bad_argument",  # a name, tag or rate that no line can have
    "bad_value",  # not a finite number
    "buffer_full",  # more samples than may wait for a receiver
    "closed",  # recorded after close()
    "error",  # a defect of this client
    "refused",  # reported by another machine after the datagram had left
    "thinned",  # samples for which others go out, with the share that was kept
    "too_long",  # one line longer than the socket takes
    "unreachable",  # no receiver for `hold` seconds, or at close()
)

_FOLD_AT = 1024


class Tally:
    """A sum. `add` is an append, so it is safe anywhere; the sum is made when it is read."""

    __slots__ = ("_buffer", "_lock", "_total")

    def __init__(self) -> None:
        self._buffer: list[int] = []
        self._lock = allocate_lock()
        self._total = 0

    def add(self, amount: int) -> None:
        buffer = self._buffer
        buffer.append(amount)
        if len(buffer) > _FOLD_AT:
            self.value()

    def value(self) -> int:
        """Return the sum; without the newest amounts while another thread folds them."""
        # As in `Flusher.relieve`: an exception of a signal handler must not keep the lock.
        if not self._lock.locked():
            with self._lock:
                count = len(self._buffer)
                total = self._total + sum(self._buffer[:count])
                del self._buffer[:count]
                self._total = total
        return self._total


class Accounts:
    """The tallies of one client in one process.

    `sent`, `dropped` and `overflowed` count samples: calls that recorded a value. `overflowed` are
    those of series beyond the limit. `datagrams` and `bytes` count what the kernel took.
    """

    __slots__ = ("bytes", "datagrams", "dropped", "overflowed", "sent")

    def __init__(self) -> None:
        self.sent, self.datagrams, self.bytes = Tally(), Tally(), Tally()
        self.overflowed = Tally()
        self.dropped = {reason: Tally() for reason in REASONS}

    def drop(self, reason: str, samples: int) -> None:
        """Count samples that will never be sent."""
        if samples:
            self.dropped[reason].add(samples)

    def drops(self) -> dict[str, int]:
        """Return the dropped samples by reason, reasons without any left out."""
        totals = {reason: tally.value() for reason, tally in self.dropped.items()}
        return {reason: total for reason, total in totals.items() if total}

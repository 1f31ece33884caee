"""Datagrams on their way out: packed, sent, kept while nobody takes them, dropped at the bound."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from time import monotonic

from vitald.client.transport import LOST, SENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    from vitald.client.accounts import Accounts
    from vitald.client.transport import Transport

    class Accounting(Protocol):
        """Tells the receiver what it should have got; any thread may call."""

        client: str

        def payload(self, size: int) -> int:
            """Return how many bytes of a datagram of `size` lines may fill."""

        def stamp(self, samples: int) -> bytes | None:
            """Return the line that ends a datagram of so many samples; counts nothing."""

        def sent(self, datagram: bytes, samples: int) -> None:
            """Note that the kernel took a datagram, stamped or not."""

        def refused(self) -> None:
            """Take the newest datagram back."""

        def report(self) -> list[bytes]:
            """Return the lines that end a flush whose datagrams were taken; none for no news."""

        def renew(self) -> None:
            """Begin anew: in a child, and when another receiver takes over."""


_KEPT_BYTES = 4 * 1024 * 1024
# How long one flush may wait for a full queue to move, in seconds.
_PATIENCE = 0.1
# At most one line in the log about a lost receiver in this many seconds.
_LOG_EVERY = 60.0


def pack(units: Iterable[tuple[bytes, int]], size: int) -> Iterator[tuple[bytes, int]]:
    """Join units, in order, to datagrams of at most `size` bytes; a longer unit goes alone.

    A unit is the bytes that must not be parted and the number of samples in them.
    """
    parts: list[bytes] = []
    length = samples = 0
    for unit, count in units:
        if parts and length + len(unit) > size:
            yield b"\n".join(parts), samples
            parts, length, samples = [], 0, 0
        parts.append(unit)
        length += len(unit) + 1
        samples += count
    if parts:
        yield b"\n".join(parts), samples


class Outbox:
    """The queue in front of one transport.

    `is_blocked` from the first datagram that nobody takes until the next flush tries again.
    Callers send only after the flusher has, so that of an outage they notice little.
    """

    def __init__(
        self,
        transport: Transport,
        accounts: Accounts,
        *,
        size: int,
        hold: float,
        clock: Callable[[], float] = monotonic,
        accounting: Accounting | None = None,
    ) -> None:
        self.is_blocked = False
        self._transport, self._accounts = transport, accounts
        self._size, self._hold, self._clock = size, hold, clock
        self._accounting = accounting
        self._kept: deque[tuple[bytes, int]] = deque()
        self._kept_limit = max(1, _KEPT_BYTES // size)
        self._callers_may_send = False
        self._blocked_since: float | None = None
        self._patience = 0.0
        # The samples of the newest datagram, for a refusal that comes late.
        self._newest: deque[int] = deque(maxlen=1)
        self._logged_at: float | None = None

    def open(self) -> None:
        """Begin a flush: connect if need be, and send what was kept."""
        self._patience = _PATIENCE
        moves = self._transport.moves
        self._transport.prepare()
        if self._accounting is not None and self._transport.moves != moves:
            # Whoever listens there got nothing of what was claimed so far.
            self._accounting.renew()
        self.is_blocked = False

    def kept(self) -> Iterator[tuple[bytes, int]]:
        """Yield what was kept, oldest first; what is not deliverable now stays."""
        for _ in range(len(self._kept)):
            one = None if self.is_blocked else self._take_kept()
            if one is None:
                return
            yield one

    def deliver(self, datagram: bytes, samples: int, *, first: bool = False) -> None:
        """Send, waiting a little for a full queue, or keep; `first` keeps it before the others."""
        if not self.is_blocked:
            if self.send(datagram, samples):
                return
            self.is_blocked = True
        if first:
            self._kept.appendleft((datagram, samples))
        else:
            self.keep(datagram, samples)

    def keep(self, datagram: bytes, samples: int) -> None:
        """Keep a datagram behind the others; at the bound the oldest is dropped."""
        self._kept.append((datagram, samples))
        while len(self._kept) > self._kept_limit:
            one = self._take_kept()
            if one is not None:
                self._accounts.drop("buffer_full", one[1])

    def send(self, datagram: bytes, samples: int) -> bool:
        """Return whether the datagram is done with: sent, or unsendable and counted."""
        is_done = self._send(datagram, samples)
        if not is_done and self._transport.is_stale:
            self._transport.prepare()
            is_done = self._send(datagram, samples)
        while not is_done and self._transport.is_congested and self._patience > 0.0:
            start = monotonic()
            self._transport.wait(self._patience)
            self._patience -= monotonic() - start
            is_done = self._send(datagram, samples)
        self._callers_may_send = is_done and self._transport.shareable
        return is_done

    def offer(self, datagram: bytes, samples: int) -> None:
        """Send or keep for a caller, who never waits."""
        if self._callers_may_send and self._send(datagram, samples):
            return
        self._callers_may_send = False
        self.keep(datagram, samples)

    def expire(self) -> bool:
        """Drop what is kept when nobody took anything for `hold` seconds; return whether so."""
        if not self.is_blocked:
            self._blocked_since = None
            return False
        now = self._clock()
        if self._blocked_since is None:
            self._blocked_since = now
            self._report(now)
        if now - self._blocked_since < self._hold:
            return False
        self.discard("unreachable")
        return True

    def discard(self, reason: str) -> None:
        """Drop everything kept and count it."""
        while (one := self._take_kept()) is not None:
            self._accounts.drop(reason, one[1])

    def is_empty(self) -> bool:
        """Return whether the kernel has everything."""
        return not self._kept and not self._transport.has_remainder()

    def __len__(self) -> int:
        return sum(samples for _, samples in list(self._kept))

    def _send(self, datagram: bytes, samples: int) -> bool:
        if self._accounting is not None:
            stamp = self._accounting.stamp(samples) if samples else None
            if stamp is not None and len(datagram) + 1 + len(stamp) <= self._size:
                datagram = b"%b\n%b" % (datagram, stamp)
        outcome = self._transport.send(datagram)
        if self._transport.late_refusals:
            self._count_late_refusal()
        if outcome == SENT:
            self._count(datagram, samples)
        elif outcome == LOST:
            self._accounts.drop("too_long", samples)
        return outcome in {SENT, LOST}

    def _count(self, datagram: bytes, samples: int) -> None:
        self._accounts.sent.add(samples)
        self._accounts.datagrams.add(1)
        self._accounts.bytes.add(len(datagram))
        self._newest.append(samples)
        if self._accounting is not None:
            self._accounting.sent(datagram, samples)

    def _count_late_refusal(self) -> None:
        """Take the newest datagram back: which one was refused is not known any more."""
        with suppress(IndexError):  # another thread was faster
            self._transport.late_refusals.pop()
            samples = self._newest.pop()
            self._accounts.sent.add(-samples)
            self._accounts.drop("refused", samples)
            if self._accounting is not None:
                self._accounting.refused()

    def _take_kept(self) -> tuple[bytes, int] | None:
        try:
            return self._kept.popleft()
        except IndexError:
            return None  # another thread was faster

    def _report(self, now: float) -> None:
        """Say once that nobody listens, to a program that has a log: importing one is not ours."""
        logging = sys.modules.get("logging")
        if logging is None or (self._logged_at is not None and now - self._logged_at < _LOG_EVERY):
            return
        self._logged_at = now
        logging.getLogger("vitald.client").warning(
            "cannot send metrics to %s: %s; keeping them for %g s",
            self._transport.target,
            self._transport.error or "nobody takes them",
            self._hold,
        )

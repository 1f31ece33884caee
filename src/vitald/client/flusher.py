"""The one thread of a client: it drains the series and sends what they hold.

Callers leave values in series (`vitald.client.series`). Once an interval, and sooner when a buffer
is long, the flusher takes them. It works in slices of a twentieth of a millisecond and pauses
between them: what it does with the GIL held is what a caller may have to wait for, and a receiver
needs time to read.

While nobody takes the datagrams, what folds (counters, gauges, sets) stays in its series, and
samples wait packed (`vitald.client.backlog`), up to a bound; after `hold` seconds all of it is
dropped. Every value that was recorded is sent, or waits, or is counted under one reason
(`vitald.client.accounts`).
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident, start_new_thread
from time import monotonic, perf_counter, sleep

from vitald.client.accounts import REASONS, Accounts
from vitald.client.backlog import Backlog
from vitald.client.outbox import Outbox, pack
from vitald.client.samples import LineSeries
from vitald.client.series import LIMIT, FoldingSeries
from vitald.client.table import SeriesTable
from vitald.wire.encode import CLIENT_DROPPED, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from vitald.client.outbox import Accounting
    from vitald.client.series import Owner, Series
    from vitald.client.transport import Transport
    from vitald.metric import Tags


# How long to hold the GIL, and for how long to leave it to callers.
_WORK_SECONDS, _PAUSE_SECONDS = 0.00005, 0.0002
# A default receive buffer takes about 90 datagrams of 1,432 bytes.
_BURST, _BURST_SECONDS = 8, 0.001

# A pass that finds more samples halves the wait before the next one, down to the shortest wait.
_BUSY_SAMPLES = 4 * LIMIT
_SHORTEST_WAIT = 0.01


class _Waiter:
    """One call of flush() that waits for a whole pass."""

    __slots__ = ("_lock", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._lock = allocate_lock()
        self._lock.acquire()

    def finish(self, is_done: bool) -> None:
        self.is_done = is_done
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        self._lock.acquire(timeout=max(0.0, seconds))
        return self.is_done


class Flusher:
    """Owns a client's series, queue, socket and thread.

    `interval` and `hold` are in seconds, `size` (of a datagram) in bytes. `lines` is the class of
    the series for whole lines.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        interval: float,
        size: int,
        hold: float,
        tags: Tags = (),
        lines: Callable[[Owner, object], Series] = LineSeries,
        accounting: Accounting | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.transport = transport
        self.is_closed = False
        self._interval, self._size, self._hold = interval, size, hold
        # What lines may fill of a datagram.
        self._payload = size if accounting is None else accounting.payload(size)
        self._tags, self._accounting, self._clock = tags, accounting, clock
        self._renew()
        self.lines = lines(self, None)
        self.table = SeriesTable(self.lines)

    def _renew(self) -> None:
        """Make what a process may not share with its parent: locks, thread, queue, counts."""
        # Held while values leave a series.
        self.lock: Any = allocate_lock()
        self.accounts = Accounts()
        self.backlog = Backlog(self.accounts.drop)
        self.outbox = Outbox(
            self.transport,
            self.accounts,
            size=self._size,
            hold=self._hold,
            clock=self._clock,
            accounting=self._accounting,
        )
        self.flushes = 0
        self._pass_lock, self._start_lock = allocate_lock(), allocate_lock()
        self._wake, self._ended = allocate_lock(), allocate_lock()
        self._wake.acquire()
        self._waiters: list[_Waiter] = []
        self._thread: int | None = None
        self._is_stopping = False
        self._reported = dict.fromkeys(REASONS, 0)
        self._slice_start, self._burst = 0.0, 0
        self._wait, self._found, self._most_idle = self._interval, 0, 0

    # What callers do: no lock is waited for, nothing is raised.

    def drop(self, reason: str, samples: int = 1) -> None:
        """Count samples that will never be sent."""
        self.accounts.drop(reason, samples)

    def is_blocked(self) -> bool:
        """Return whether nobody takes the datagrams just now."""
        return self.outbox.is_blocked

    def relieve(self, series: Series) -> None:
        """Act for the caller who found a buffer over its limit; a bounded amount of work."""
        if series.limit == 0 and not self.is_closed:
            series.limit = LIMIT
            if self._thread is None:
                self._start()
            return
        # Whoever holds the lock is draining; this may even be a signal handler above him. Only
        # `with` cannot be left, by what such a handler raises, between taking the lock and knowing.
        if self.lock.locked():
            return
        values: list[Any] = []
        with self.lock:
            if self.is_closed:
                self.drop("closed", series.discard())
            elif len(series.buffer) > series.limit:  # still: another caller may have acted
                values = series.make_room()
        if values:
            for datagram, samples in pack(series.encode(values, self._payload), self._payload):
                self.outbox.offer(datagram, samples)

    def wake(self) -> None:
        """Make the thread run now; safe in a signal handler."""
        if self._wake.locked():
            try:
                self._wake.release()
            except RuntimeError:
                return  # somebody else was faster

    def _start(self) -> bool:
        """Start the thread; return whether there is one.

        `threading.Thread.start` would wait for the new thread, and for a lock that a caller below
        this signal handler may hold.
        """
        if not self._start_lock.locked():
            with self._start_lock:
                try:
                    if self._thread is None and not self.is_closed:
                        self._ended.acquire(blocking=False)
                        self._thread = start_new_thread(self._run, ())
                except RuntimeError:
                    return False  # too many threads, or the interpreter ends: flush() works inline
        return self._thread is not None

    # Flushing.

    def flush(self, timeout: float) -> bool:
        """Send everything recorded before this call; return whether the kernel has all of it."""
        if self.is_closed or get_ident() == self._thread:
            return False  # the flusher's own thread, in a destructor: it cannot wait for itself
        if self._thread is None and not self._has_news():
            return True
        deadline = monotonic() + timeout
        while True:
            waiter = _Waiter()
            self._waiters.append(waiter)
            if self._thread is None and not self._start():
                self._serve()
            self.wake()
            is_done = waiter.wait(deadline - monotonic())
            if is_done or not self.transport.is_congested or monotonic() >= deadline:
                return is_done

    def _has_news(self) -> bool:
        return (
            self.backlog.samples > 0
            or any(series.waiting() for series in self.table.series[:])
            or any(
                total > self._reported[reason] for reason, total in self.accounts.drops().items()
            )
        )

    def close(self, timeout: float) -> bool:
        """Flush, end the thread, close the socket; what is recorded later is counted as closed."""
        if self.is_closed:
            return True
        deadline = monotonic() + timeout
        is_done = self.flush(timeout)
        self.is_closed = self._is_stopping = True
        has_ended = self._thread is None
        if not has_ended and get_ident() != self._thread:
            self.wake()
            has_ended = self._ended.acquire(timeout=max(0.1, deadline - monotonic()))
        if has_ended:
            self.transport.close()
        for series in self.table.series[:]:
            series.limit = 0
            with self.lock:
                self.drop("closed" if is_done else "unreachable", series.discard())
        with self.lock:
            self.drop("unreachable", self.backlog.discard())
        self.outbox.discard("unreachable")
        return is_done

    def stats(self) -> dict[str, Any]:
        """Return the accounts, in samples; see `Client.stats`."""
        accounts = self.accounts
        waiting = sum(series.waiting() for series in self.table.series[:])
        overflowed = accounts.overflowed.value()
        return {
            "error": self.transport.error,
            "series": len(self.table.known),
            "flushes": self.flushes,
            "datagrams": accounts.datagrams.value(),
            "bytes": accounts.bytes.value(),
            "sent": accounts.sent.value(),
            "waiting": waiting + self.backlog.waiting + len(self.outbox),
            "overflowed": overflowed,
            "offenders": self.table.offenders() if overflowed else {},
            "dropped": accounts.drops(),
        }

    def after_fork(self) -> None:
        """Begin anew in the child: what was recorded before the fork is the parent's to send."""
        if self._accounting is not None:
            self._accounting.renew()
        self._renew()
        self.transport.reset()
        for series in self.table.series:
            series.renew()

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.acquire(timeout=self._wait)
            self._serve()
        self.transport.close()
        self._ended.release()

    def _serve(self) -> None:
        """Make one pass and tell those who waited for it."""
        with self._pass_lock:
            waiters = self._waiters[:]
            del self._waiters[: len(waiters)]
            is_done = False
            try:
                is_done = self._pass()
            except Exception:
                self.drop("error")
        for waiter in waiters:
            waiter.finish(is_done)

    def _pass(self) -> bool:
        outbox = self.outbox
        self._slice_start, self._found = perf_counter(), 0
        outbox.open()
        for datagram, samples in outbox.kept():
            outbox.deliver(datagram, samples, first=True)
            self._breathe(1)
        for datagram, samples in pack(self._units(), self._payload):
            outbox.deliver(datagram, samples)
            self._breathe(1)
        if not outbox.is_blocked:
            self._report()
        if outbox.expire():
            self._expire()
        self.table.forget(self._most_idle, self._breathe)
        self._adapt()
        self.flushes += 1
        return outbox.is_empty() and not outbox.is_blocked

    def _units(self) -> Iterator[tuple[bytes, int]]:
        """Drain the backlog and the series; what nobody takes is held where it is."""
        self._most_idle = 0
        yield from self._old_units()
        # Series added meanwhile stand behind, and may wait.
        for index in range(len(self.table.series)):
            series = self.table.series[index]
            if not series.waiting():
                series.idle += 1
                self._most_idle = max(self._most_idle, series.idle)
            elif self.outbox.is_blocked and series.can_hold:
                for _ in series.hold():
                    self._breathe()
            else:
                series.idle = 0
                yield from self._counted(series, series.units(self._payload))
            self._breathe()
        # What callers moved there before their series' turn came.
        yield from self._old_units()

    def _old_units(self) -> Iterator[tuple[bytes, int]]:
        for _ in range(len(self.backlog)):
            if self.outbox.is_blocked:
                return
            with self.lock:
                chunk = self.backlog.take()
            if chunk is not None:
                yield from self._counted(chunk.series, chunk.units(self._payload))

    def _counted(
        self, series: Series, units: Iterator[tuple[bytes, int]]
    ) -> Iterator[tuple[bytes, int]]:
        for unit in units:
            if not isinstance(series, FoldingSeries):
                self._found += unit[1]
            if series.is_overflow:
                self.accounts.overflowed.add(unit[1])
            yield unit
            self._breathe()

    def _breathe(self, datagrams: int = 0) -> None:
        """Pause after a slice of work: let callers have the GIL and the receiver its queue."""
        self._burst += datagrams
        if self._burst >= _BURST:
            self._burst = 0
            sleep(_BURST_SECONDS)
        elif perf_counter() - self._slice_start > _WORK_SECONDS:
            sleep(_PAUSE_SECONDS)
        else:
            return
        self._slice_start = perf_counter()

    def _expire(self) -> None:
        for index in range(len(self.table.series)):
            with self.lock:
                self.drop("unreachable", self.table.series[index].discard())
            self._breathe()
        with self.lock:
            self.drop("unreachable", self.backlog.discard())

    def _adapt(self) -> None:
        """Wait less while there is much to send, so that less of it piles up."""
        if self._found > _BUSY_SAMPLES:
            self._wait = max(_SHORTEST_WAIT, self._wait / 2)
        else:
            self._wait = min(self._interval, self._wait * 2)

    def _report(self) -> None:
        """Send what was dropped since the last report that arrived at the kernel."""
        drops = self.accounts.drops()
        tags = [*self._tags]
        if self._accounting is not None:
            tags.append(("client", self._accounting.client))
        lines = []
        for reason, total in drops.items():
            if total > self._reported[reason]:
                before, after = frame(CLIENT_DROPPED, "c", tags=[*tags, ("reason", reason)])
                lines.append(f"{before}{total - self._reported[reason]}{after}".encode())
        if lines and self.outbox.send(b"\n".join(lines), 0):
            self._reported.update(drops)
        if self._accounting is not None:
            report = self._accounting.report()
            if report:
                self.outbox.send(b"\n".join(report), 0)

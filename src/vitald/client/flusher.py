"""The one thread of a client: it drains the series and sends what they hold.

Callers leave values in series (`vitald.client.series`). Once an interval, and sooner when a buffer
is long, the flusher takes them. It works in slices of a fifth of a millisecond and pauses between
them: what it does with the GIL held is what a caller may have to wait for, and a receiver needs
time to read.

While nobody takes the datagrams, what folds (counters, gauges, sets) stays in its series, and
samples wait encoded, up to a bound; after `hold` seconds all of it is dropped. Every value that
was recorded is sent, or waits, or is counted under one reason (`vitald.client.accounts`).
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident, start_new_thread
from sys import getrefcount
from time import monotonic, perf_counter, sleep

from vitald.client.accounts import REASONS, Accounts
from vitald.client.outbox import Outbox, pack
from vitald.client.series import HARD_LIMIT, LIMIT, SLICE, FoldingSeries, LineSeries, StreamSeries
from vitald.wire.encode import CLIENT_DROPPED, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from vitald.client.series import Series
    from vitald.client.transport import Transport
    from vitald.metric import Tags


# A series that is only known by its name is forgotten after this many flushes without a value,
# after two when there are too many.
IDLE_FLUSHES = 120
SERIES_LIMIT = 10_000

_WORK_SECONDS, _PAUSE_SECONDS = 0.0002, 0.001
# A default receive buffer takes about 90 datagrams of 1,432 bytes.
_BURST = 8


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

    `interval` and `hold` are in seconds, `size` (of a datagram) in bytes. `on_forget` is called
    before idle series are forgotten: whoever caches series must let go of them.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        interval: float,
        size: int,
        hold: float,
        tags: Tags = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.transport = transport
        self.table: dict[object, Series] = {}
        self.is_closed = False
        self.on_forget: Callable[[], None] = lambda: None
        self._interval, self._size, self._hold = interval, size, hold
        self._tags, self._clock = tags, clock
        self._renew()
        self.lines = LineSeries(self, None)
        self._series: list[Series] = [self.lines]

    def _renew(self) -> None:
        """Make what a process may not share with its parent: locks, thread, queue, counts."""
        # Held while values leave a series.
        self.lock: Any = allocate_lock()
        self.accounts = Accounts()
        self.outbox = Outbox(
            self.transport, self.accounts, size=self._size, hold=self._hold, clock=self._clock
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

    # What callers do: no lock is waited for, nothing is raised.

    def add(self, series: Series) -> Series:
        """Register a series; return the one that stands for its key."""
        winner = self.table.setdefault(series.key, series)
        if winner is series:
            self._series.append(series)
        return winner

    def is_full(self) -> bool:
        """Return whether a new series should not be registered for a value's sake alone."""
        return len(self.table) >= SERIES_LIMIT

    def drop(self, reason: str, samples: int = 1) -> None:
        """Count samples that will never be sent."""
        self.accounts.drop(reason, samples)

    def relieve(self, series: Series) -> None:
        """Act for the caller who found a buffer over its limit; a bounded amount of work."""
        if series.limit == 0 and not self.is_closed:
            series.limit = LIMIT
            if self._thread is None:
                self._start()
            return
        if isinstance(series, StreamSeries) and series.limit < HARD_LIMIT and not self.is_closed:
            series.limit = HARD_LIMIT
            self.wake()
            return
        # Whoever holds the lock is draining; this may even be a signal handler above him.
        if not self.lock.acquire(blocking=False):
            return
        chunk: list[Any] = []
        try:
            if self.is_closed:
                self.drop("closed", series.discard())
            elif isinstance(series, FoldingSeries):
                series.fold()
            else:
                chunk = series.take(SLICE)
        finally:
            self.lock.release()
        if chunk and isinstance(series, StreamSeries):
            # The flusher does not keep up.
            for datagram, samples in pack(series.encode(chunk, self._size), self._size):
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
        if self._start_lock.acquire(blocking=False):
            try:
                if self._thread is None and not self.is_closed:
                    self._ended.acquire(blocking=False)
                    self._thread = start_new_thread(self._run, ())
            except RuntimeError:
                return False  # too many threads, or the interpreter ends: flush() works inline
            finally:
                self._start_lock.release()
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
        return any(series.waiting() for series in self._series[:]) or any(
            total > self._reported[reason] for reason, total in self.accounts.drops().items()
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
        for series in self._series[:]:
            series.limit = 0
            with self.lock:
                self.drop("closed" if is_done else "unreachable", series.discard())
        self.outbox.discard("unreachable")
        return is_done

    def stats(self) -> dict[str, Any]:
        """Return the accounts, in samples; see `Client.stats`."""
        accounts = self.accounts
        return {
            "error": self.transport.error,
            "series": len(self.table),
            "flushes": self.flushes,
            "datagrams": accounts.datagrams.value(),
            "bytes": accounts.bytes.value(),
            "sent": accounts.sent.value(),
            "waiting": sum(series.waiting() for series in self._series[:]) + len(self.outbox),
            "dropped": accounts.drops(),
        }

    def after_fork(self) -> None:
        """Begin anew in the child: what was recorded before the fork is the parent's to send."""
        self._renew()
        self.transport.reset()
        for series in self._series:
            series.discard()
            series.limit = 0

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.acquire(timeout=self._interval)
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
        self._slice_start = perf_counter()
        outbox.open()
        for datagram, samples in outbox.kept():
            outbox.deliver(datagram, samples, first=True)
            self._breathe(1)
        for datagram, samples in pack(self._units(), self._size):
            outbox.deliver(datagram, samples)
            self._breathe(1)
        if not outbox.is_blocked:
            self._report()
        if outbox.expire():
            for series in self._series[:]:
                with self.lock:
                    self.drop("unreachable", series.discard())
        self._forget()
        self.flushes += 1
        return outbox.is_empty() and not outbox.is_blocked

    def _units(self) -> Iterator[tuple[bytes, int]]:
        for series in self._series[:]:
            if not series.waiting():
                series.idle += 1
            elif self.outbox.is_blocked and isinstance(series, FoldingSeries):
                with self.lock:
                    series.fold()
            else:
                series.idle = 0
                for unit in series.units(self._size):
                    yield unit
                    self._breathe()
            self._breathe()

    def _breathe(self, datagrams: int = 0) -> None:
        """Pause after a slice of work: let callers have the GIL and the receiver its queue."""
        self._burst += datagrams
        if self._burst >= _BURST or perf_counter() - self._slice_start > _WORK_SECONDS:
            sleep(_PAUSE_SECONDS)
            self._slice_start, self._burst = perf_counter(), 0

    def _report(self) -> None:
        """Send what was dropped since the last report that arrived at the kernel."""
        drops = self.accounts.drops()
        lines = []
        for reason, total in drops.items():
            if total > self._reported[reason]:
                before, after = frame(CLIENT_DROPPED, "c", tags=[*self._tags, ("reason", reason)])
                lines.append(f"{before}{total - self._reported[reason]}{after}".encode())
        if lines and self.outbox.send(b"\n".join(lines), 0):
            self._reported.update(drops)

    def _forget(self) -> None:
        """Forget idle series that nobody holds.

        A caller between looking a series up and recording into it holds a reference, and so does
        a handle: they keep it. Caches go first, the table next, so that no new reference comes up.
        """
        patience = 2 if len(self.table) > SERIES_LIMIT // 2 else IDLE_FLUSHES
        if all(series.idle < patience for series in self._series):
            return
        self.on_forget()
        kept: list[Series] = []
        count = len(self._series)
        alone = _references_of_a_listed_local()
        for index in range(count):
            series = self._series[index]
            if series.idle >= patience and series is not self.lines:
                series.idle = 0
                self.table.pop(series.key, None)
                # In this order: when nobody holds it, nobody can fill it any more.
                if getrefcount(series) <= alone and not series.waiting():
                    continue
                self.table.setdefault(series.key, series)
            kept.append(series)
            self._breathe()
        # Series added meanwhile stand behind `count`.
        self._series[:count] = kept


def _references_of_a_listed_local() -> int:
    """Return what `getrefcount` says of an object that one list and one local name refer to."""
    listed = [object()]
    local = listed[0]
    return getrefcount(local)

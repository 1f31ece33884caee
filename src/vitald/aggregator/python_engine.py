"""The reference engine: everything in Python, on the event loop's thread.

A line is cut at its first colon and the first bar behind it. When its spelling (name, and all that
follows the value) has been seen before, its value is appended to that spelling's route as it came:
no number is parsed yet. Any other line is parsed in full, and earns a route if its kind allows.
Routes are folded into the open slot in bulk: when enough lines wait, and before anything is asked
or sealed, so that no answer ever misses a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.aggregator.accounts import Accounts
from vitald.aggregator.receiver import Receiver
from vitald.aggregator.routes import Routes
from vitald.aggregator.sealed import SealedInterval, WindowAnswer
from vitald.aggregator.series import Counter, Gauge
from vitald.aggregator.table import SeriesTable
from vitald.aggregator.windows import DEFAULT_WINDOWS, Slot, Windows, merge_cells
from vitald.errors import UsageError
from vitald.metric import Event, ServiceCheck
from vitald.wire.dialect import DEFAULT_DIALECT, Dialect
from vitald.wire.parse import Rejected, parse_line

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from vitald.aggregator.interval import Ledger, Row
    from vitald.aggregator.selector import Selector
    from vitald.aggregator.series import Cell, Series
    from vitald.clock import Instant
    from vitald.metric import SeriesKey
    from vitald.wire.parse import Sample

# Events and service checks that one interval may carry, each kind; more are counted as shed.
MOST_EVENTS = 1000
MOST_EVENT_BYTES = 1_000_000

# Series that one turn of `tidy` merges: a few milliseconds.
_TIDY = 100


class PythonEngine:
    """See `vitald.aggregator.engine.Engine`; not safe for use from several threads.

    `now` is the start of the first slot. `windows` are seconds, multiples of `interval`.
    """

    name = "python"
    threadsafe = False

    def __init__(
        self,
        now: Instant,
        *,
        interval: float = 10.0,
        windows: Sequence[float] = DEFAULT_WINDOWS,
        series_limit: int = 100_000,
        series_expiry: float = 3600.0,
        set_exact_limit: int = 1000,
        histogram_scale: int = 6,
        add_reader: Callable[[int, Callable[[], object]], object] | None = None,
        remove_reader: Callable[[int], object] | None = None,
    ) -> None:
        self._open_since = now
        self._windows = Windows(interval, windows)
        self._table = SeriesTable(
            series_limit,
            # A series that is forgotten and comes back must not stand twice in one window.
            expiry=max(series_expiry, self._windows.longest),
            set_limit=set_exact_limit,
            scale=histogram_scale,
        )
        self._accounts = Accounts()
        self._routes = Routes(self._accounts, self._take, most=2 * series_limit + 1000)
        self._receivers: dict[int, Receiver] = {}
        self._drops_seen: dict[bytes, int] = {}
        self._add_reader = add_reader
        self._remove_reader = remove_reader
        self._events: list[Event] = []
        self._service_checks: list[ServiceCheck] = []
        self._extended_bytes = 0
        self._late: dict[tuple[Slot, Series], Cell] = {}

    # Receiving

    def attach(self, sock: socket.socket, label: str, dialect: Dialect = DEFAULT_DIALECT) -> None:
        if self._add_reader is None:
            raise RuntimeError("cannot attach a socket: the engine was built without an event loop")
        traffic = self._accounts.listener(label)
        receiver = Receiver(
            sock,
            traffic,
            lambda data, cut: self._lines(data, dialect, cut=cut),
            self._drops_seen,
        )
        self._receivers[sock.fileno()] = receiver
        self._add_reader(sock.fileno(), receiver.drain)

    def detach(self, sock: socket.socket) -> None:
        receiver = self._receivers.pop(sock.fileno(), None)
        if receiver is None or self._remove_reader is None:
            return
        receiver.drain_all()
        self._remove_reader(sock.fileno())

    def ingest(
        self,
        data: bytes,
        *,
        label: str = "internal",
        cut: bool = False,
        dialect: Dialect = DEFAULT_DIALECT,
    ) -> None:
        if label == "internal":
            self._accounts.internal_lines += sum(map(bool, data.split(b"\n")))
            self._lines(data, dialect)
            return
        traffic = self._accounts.listener(label)
        if data or cut:
            traffic.datagrams += 1
            traffic.bytes += len(data)
            self._lines(data, dialect, cut=cut)

    def _lines(self, data: bytes, dialect: Dialect, *, cut: bool = False) -> None:
        lines = data.split(b"\n")
        rest = lines.pop() if cut else b""
        appends = self._routes.of(dialect)
        for line in lines:
            name, _, tail = line.partition(b":")
            value, _, suffix = tail.partition(b"|")
            try:
                appends[suffix][name](value)
            except KeyError:
                if line and line != b"\r":
                    self._take(line, dialect)
        if cut:
            self._accounts.reject(rest, "truncated")
        self._routes.note(len(lines), len(data))

    def _take(self, line: bytes, dialect: Dialect) -> None:
        """Account for one line in full; the only place that parses."""
        parsed = parse_line(line, dialect)
        if isinstance(parsed, Rejected):
            self._accounts.reject(line, parsed.reason)
            return
        if parsed.extended is not None and not self._keep(parsed.extended, len(line)):
            self._accounts.shed["too_many_events"] += 1
            return
        for sample in parsed.samples:
            self._add(sample)
        self._accounts.aggregate(parsed)
        if len(parsed.samples) == 1 and not parsed.notes:
            self._routes.learn(line, parsed.samples[0], dialect, self._series(parsed.samples[0]))

    def _keep(self, item: Event | ServiceCheck, size: int) -> bool:
        kept: list[Event] | list[ServiceCheck] = (
            self._events if isinstance(item, Event) else self._service_checks
        )
        if len(kept) >= MOST_EVENTS or self._extended_bytes + size > MOST_EVENT_BYTES:
            return False
        self._extended_bytes += size
        kept.append(item)  # type: ignore[arg-type]
        return True

    def _series(self, sample: Sample) -> Series:
        return self._table.get(sample.key, self._open_since.monotonic)

    def _add(self, sample: Sample) -> None:
        series = self._series(sample)
        self._accounts.overflowed += series.key != sample.key
        if sample.timestamp is None:
            self._routes.settle(series)
            series.add(sample)
        else:
            self._add_at(series, sample, sample.timestamp)

    def _add_at(self, series: Series, sample: Sample, wall: int) -> None:
        """Count a timestamped sample at its time when a slot holds that, else now and as late.

        A delta moves what the gauge holds now, so it has no place in the past.
        """
        self._routes.settle(series)
        is_open = self._open_since.wall <= wall < self._open_since.wall + self._windows.interval
        slots = [] if is_open or any(sample.signed) else self._windows.holding(wall)
        if not slots:
            series.add(sample)
            self._accounts.late += not is_open
            return
        cell = self._backdated(series, sample, slots[0], wall)
        for slot in slots:
            slot.add(series, cell)
        if isinstance(series, Gauge):
            series.backfill(cell)
        place = (slots[0], series)
        self._late[place] = series.merge([self._late[place], cell]) if place in self._late else cell
        series.last_seen = self._open_since.monotonic

    def _backdated(self, series: Series, sample: Sample, slot: Slot, wall: float) -> Cell:
        """Return the cell of a sample at its time, which is finer than `slot` if that is coarse."""
        alone = type(series)(series.key, series.last_seen)
        alone.add(sample)
        if self._windows.is_finest(slot):
            return alone.seal(slot.end.monotonic)
        self._accounts.notes["uncorrected"] += 1
        return alone.seal(slot.start.monotonic + wall - slot.start.wall)

    # Sealing

    def rotate(self, now: Instant) -> SealedInterval:
        self._routes.fold()
        cells: dict[Series, Cell] = {}
        idle: list[tuple[Series, Cell]] = []
        for series in self._table:
            cell = series.seal(now.monotonic)
            if cell is not None:
                cells[series] = cell
                series.last_seen = now.monotonic
            elif isinstance(series, Counter) or (isinstance(series, Gauge) and series.was_sealed):
                idle.append((series, series.held()))
        for series in self._table.reports:
            if series in cells and isinstance(series, Counter):
                self._accounts.report(series.row(cells[series]))
        slot = Slot(self._open_since, now, cells)
        corrections, late = self._corrections()
        self._windows.push(slot)
        self._open_since = now
        if self._table.expire(now.monotonic, self._windows.since):
            self._routes.forget_dead()
        interval = SealedInterval(slot, list(cells.items()), idle, late)
        interval.corrections = corrections
        interval.events, self._events = self._events, []
        interval.service_checks, self._service_checks = self._service_checks, []
        self._extended_bytes = 0
        return interval

    def tidy(self) -> bool:
        return self._windows.tidy(_TIDY)

    def _corrections(self) -> tuple[list[SealedInterval], list[Row]]:
        """Return the older slots that late samples changed, and those samples by themselves.

        A coarse slot is no correction: it was never delivered, and its first interval was.
        """
        touched: dict[Slot, list[Series]] = {}
        for slot, series in self._late:
            if self._windows.is_finest(slot):
                touched.setdefault(slot, []).append(series)
        late = [series.row(cell) for (_, series), cell in self._late.items()]
        self._late = {}
        return [
            SealedInterval(slot, [(series, slot.cells[series]) for series in changed])
            for slot, changed in touched.items()
        ], late

    # Asking

    def query(self, selector: Selector, window: float) -> WindowAnswer:
        if window > self._windows.longest:
            raise UsageError(
                f"cannot answer over {window:g} s: the longest window is "
                f"{self._windows.longest:g} s"
            )
        slots = self._windows.select(window)
        matches = selector.matcher()
        start = self._open_since.monotonic - window + self._windows.interval / 2
        complete = bool(slots) and slots[0].start.monotonic <= start
        return WindowAnswer(slots, window, complete, self._rows(slots, matches))

    def _rows(self, slots: Sequence[Slot], matches: Callable[[SeriesKey], bool]) -> Iterator[Row]:
        shown: set[Series] = set()
        for series, cell in merge_cells(slots, lambda series: matches(series.key)):
            shown.add(series)
            yield series.row(cell)
        # A list, because the table may grow between two batches.
        held = [
            (series, series.held())
            for series in self._table
            if isinstance(series, Gauge)
            and series.was_sealed
            and series not in shown
            and matches(series.key)
        ]
        for series, cell in held:
            yield series.row(cell)

    def ledger(self) -> Ledger:
        self._routes.fold()
        for receiver in self._receivers.values():
            receiver.account_drops()
        ledger = self._accounts.ledger()
        ledger.series_active = len(self._table)
        ledger.series_limit = self._table.limit
        return ledger

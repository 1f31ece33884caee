"""The reference engine: everything in Python, on the event loop's thread.

A line is cut at its first colon and the first bar behind it. When its spelling (name, and all that
follows the value) has been seen before, its value is appended to that spelling's route as it came:
no number is parsed yet. Any other line is parsed in full, and earns a route if its kind allows.
Routes are folded into the open slot in bulk: when enough lines wait, and before anything is asked
or sealed, so that no answer ever misses a line.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from vitald.aggregator.accounts import Accounts
from vitald.aggregator.receiver import Receiver
from vitald.aggregator.routes import Routes
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

BATCH = 1000
# Events and service checks that one interval may carry; more are counted as shed.
MOST_EVENTS = 1000


class SealedInterval:
    """An `Interval` (see there). `late` has the rows of samples that were put into older slots."""

    def __init__(
        self,
        slot: Slot,
        items: Sequence[tuple[Series, Cell]],
        idle: Sequence[tuple[Series, Cell]] = (),
        late: Sequence[Row] = (),
    ) -> None:
        self.start = slot.start.wall
        self.end = slot.end.wall
        self.seconds = slot.end.monotonic - slot.start.monotonic
        self.events: Sequence[Event] = ()
        self.service_checks: Sequence[ServiceCheck] = ()
        self.corrections: Sequence[SealedInterval] = ()
        self.late = late
        self._items = items
        self._idle = idle

    def rows(self, *, idle: bool = False) -> Iterator[list[Row]]:
        yield from _batches(series.row(cell) for series, cell in self._items)
        if idle:
            yield from _batches(series.row(cell) for series, cell in self._idle)


class WindowAnswer:
    """An `Answer` (see there)."""

    def __init__(
        self, slots: Sequence[Slot], window: float, complete: bool, rows: Iterator[Row]
    ) -> None:
        self.start = slots[0].start.wall if slots else 0.0
        self.end = slots[-1].end.wall if slots else 0.0
        self.seconds = slots[-1].end.monotonic - slots[0].start.monotonic if slots else 0.0
        self.window = window
        self.complete = complete
        self._rows = rows

    def rows(self) -> Iterator[list[Row]]:
        return _batches(self._rows)


class PythonEngine:
    """See `vitald.aggregator.engine.Engine`; not safe for use from several threads.

    `now` is the start of the first slot. `windows` are seconds, multiples of `interval`.
    """

    name = "python"

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
        self._add_reader = add_reader
        self._remove_reader = remove_reader
        self._events: list[Event] = []
        self._service_checks: list[ServiceCheck] = []
        self._late: dict[tuple[Slot, Series], Cell] = {}

    # Receiving

    def attach(self, sock: socket.socket, label: str, dialect: Dialect = DEFAULT_DIALECT) -> None:
        if self._add_reader is None:
            raise RuntimeError("cannot attach a socket: the engine was built without an event loop")
        traffic = self._accounts.listener(label)
        receiver = Receiver(sock, traffic, lambda data, cut: self._lines(data, dialect, cut=cut))
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
        if rest:
            self._accounts.reject(rest, "truncated")
        if self._routes.note(len(lines), len(data)):
            self._routes.fold()

    def _take(self, line: bytes, dialect: Dialect) -> None:
        """Account for one line in full; the only place that parses."""
        parsed = parse_line(line, dialect)
        if isinstance(parsed, Rejected):
            self._accounts.reject(line, parsed.reason)
            return
        if parsed.extended is not None and not self._keep(parsed.extended):
            self._accounts.shed["too_many_events"] += 1
            return
        for sample in parsed.samples:
            self._add(sample)
        self._accounts.aggregate(parsed)
        if len(parsed.samples) == 1 and not parsed.notes:
            self._routes.learn(line, parsed.samples[0], dialect, self._series(parsed.samples[0]))

    def _keep(self, item: Event | ServiceCheck) -> bool:
        kept: list[Event] | list[ServiceCheck] = (
            self._events if isinstance(item, Event) else self._service_checks
        )
        if len(kept) >= MOST_EVENTS:
            return False
        kept.append(item)  # type: ignore[arg-type]
        return True

    def _series(self, sample: Sample) -> Series:
        return self._table.get(sample.key, self._open_since.monotonic)

    def _add(self, sample: Sample) -> None:
        series = self._series(sample)
        self._accounts.overflowed += series.is_overflow
        if sample.timestamp is None:
            self._routes.settle(series)
            series.add(sample)
        else:
            self._add_at(series, sample, sample.timestamp)

    def _add_at(self, series: Series, sample: Sample, wall: int) -> None:
        """Count a timestamped sample at its time when a slot holds that, else now and as late."""
        slots = self._windows.holding(wall)
        is_open = self._open_since.wall <= wall < self._open_since.wall + self._windows.interval
        if is_open or not slots:
            self._routes.settle(series)
            series.add(sample)
            self._accounts.late += not is_open
            return
        backdated = type(series)(series.key, series.last_seen)
        backdated.add(sample)
        cell = backdated.seal()
        if cell is None:
            return
        for slot in slots:
            slot.add(series, cell)
        place = (slots[0], series)
        self._late[place] = series.merge([self._late[place], cell]) if place in self._late else cell
        series.last_seen = self._open_since.monotonic

    # Sealing

    def rotate(self, now: Instant) -> SealedInterval:
        self._routes.fold()
        cells: dict[Series, Cell] = {}
        idle: list[tuple[Series, Cell]] = []
        for series in self._table:
            cell = series.seal()
            if cell is not None:
                cells[series] = cell
                series.last_seen = now.monotonic
            elif isinstance(series, Counter) or (isinstance(series, Gauge) and series.was_sealed):
                idle.append((series, series.held()))
        slot = Slot(self._open_since, now, cells)
        corrections, late = self._corrections()
        self._windows.push(slot)
        self._open_since = now
        if self._table.expire(now.monotonic):
            self._routes.forget_dead()
        interval = SealedInterval(slot, list(cells.items()), idle, late)
        interval.corrections = corrections
        interval.events, self._events = self._events, []
        interval.service_checks, self._service_checks = self._service_checks, []
        return interval

    def _corrections(self) -> tuple[list[SealedInterval], list[Row]]:
        """Return the older slots that late samples changed, and those samples by themselves."""
        touched: dict[Slot, list[Series]] = {}
        for slot, series in self._late:
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
            if isinstance(series, Gauge) and series.was_sealed and series not in shown
        ]
        for series, cell in held:
            if matches(series.key):
                yield series.row(cell)

    def ledger(self) -> Ledger:
        self._routes.fold()
        for receiver in self._receivers.values():
            receiver.account_drops()
        ledger = self._accounts.ledger()
        ledger.series_active = len(self._table)
        ledger.series_limit = self._table.limit
        return ledger


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch

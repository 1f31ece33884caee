"""What `top` shows: everything on one page, worst first. No clock, no screen, no socket."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vitald.cli.document import items, mapping, number, tags, text
from vitald.cli.metrics import table as metrics_table
from vitald.cli.terminal.clients import sentences
from vitald.cli.terminal.health import code_of, summary
from vitald.cli.terminal.health import table as health_table
from vitald.cli.terminal.ledger import balance
from vitald.cli.terminal.sections import head, listing, value
from vitald.cli.terminal.table import Cell, Column, Line, Table, line
from vitald.cli.terminal.units import Unit, human

if TYPE_CHECKING:
    from vitald.cli.document import Document
    from vitald.cli.terminal.table import Block

SORTS = ("rate", "p99", "count", "name")
BLOCKS = "▁▂▃▄▅▆▇█"
# Looks remembered for a series' trend; more would not fit beside its numbers.
TREND = 16
# The figures that tell most of a sick machine in one line.
_MACHINE = {
    "cpu": ("usage_percent", "iowait_percent", "throttled_percent", "load_1", "pressure_percent"),
    "memory": ("usage_percent", "usage_bytes", "available_bytes", "swap_usage_bytes"),
    "network": ("receive_bytes_per_second", "transmit_bytes_per_second", "errors_per_second"),
}
_FORWARDER = ("name", "type", "sent", "queued", "dropped", "consecutive_failures", "last_error")


class Overview:
    """The last documents seen, and how they are looked at."""

    def __init__(self) -> None:
        self.sort = SORTS[0]
        self._held = False
        self._lost = ""
        self._stats: Document = {}
        self._health: Document = {}
        self._metrics: Document = {}
        self._trends: dict[tuple[str, str, str], deque[float | None]] = {}

    def feed(self, stats: Document, health: Document, metrics: Document) -> None:
        """Take the next look, unless the view is held."""
        self._lost = ""
        if self._held:
            return
        self._stats, self._health, self._metrics = stats, health, metrics
        seen = {}
        for row in items(metrics.get("metrics")):
            key = _key(row)
            trend = self._trends.get(key) or deque(maxlen=TREND)
            trend.append(number(row.get("rate")))
            seen[key] = trend
        # Series that dropped out of the answer are forgotten: the answer is bounded, so is this.
        self._trends = seen

    def lose(self, cause: str) -> None:
        """Note that the sidecar did not answer; what was seen last stays on the page."""
        self._lost = cause

    def press(self, key: str) -> bool:
        """Take a key; True when it needs a fresh look."""
        if key == "s":
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
            return True
        if key == " ":
            self._held = not self._held
            return not self._held
        return False

    def blocks(self, rows: int, *, live: bool = True) -> list[Block]:
        """Lay the page out for a screen of `rows` lines; series fill what the rest leaves.

        `live` shows the keys.
        """
        # What must be seen stands first: a screen that is too small loses the last series.
        shown: list[Block] = [self._headline()]
        if live:
            shown.append(self._keys())
        if self._lost:
            shown.append(line(Cell(self._lost, "bad")))
        shown += self._machine()
        shown += [line(), *self._checks()]
        forwarders = [
            {key: entry.get(key) for key in _FORWARDER}
            for entry in items(self._stats.get("forwarders"))
        ]
        if forwarders:
            shown += [line(), listing("", forwarders)]
        taken = sum(1 if isinstance(block, Line) else len(block.rows) + 2 for block in shown)
        return [*shown, line(), self._series(max(3, rows - taken - 4))]

    def _headline(self) -> Line:
        up = human(self._stats.get("uptime_seconds"), Unit.SECONDS)
        host = text(self._metrics.get("host"))
        about = f"vitald{' on ' + host if host else ''}, up {up}"
        about += f", engine {text(self._stats.get('engine')) or '?'}"
        return line(Cell(about, "head"), f"  {text(self._stats.get('time'))}")

    def _machine(self) -> list[Block]:
        lines: list[Block] = []
        for name, wanted in _MACHINE.items():
            section = mapping(self._stats.get(name))
            figures = [
                f"{head(key)} {value(key, section[key]).text}"
                for key in wanted
                if number(section.get(key)) is not None
            ]
            if figures:
                lines.append(line(Cell(f"{name}: ", "dim"), ", ".join(figures)))
        ledger = mapping(self._stats.get("ledger"))
        return [*lines, balance(ledger), *sentences(ledger, 1)] if ledger else lines

    def _checks(self) -> list[Block]:
        bad = [check for check in items(self._health.get("checks")) if code_of(check)]
        if not bad:
            return [summary(self._health)]
        bad.sort(key=lambda check: (code_of(check) != 2, code_of(check) != 3))
        return [summary(self._health), health_table({**self._health, "checks": bad})]

    def _series(self, rows: int) -> Table:
        series = items(self._metrics.get("metrics"))[:rows]
        table = metrics_table(series, self.sort)
        columns = [*table.columns, Column("TREND")]
        lines = [
            [*cells, Cell(sparkline(list(self._trends.get(_key(row), ()))))]
            for row, cells in zip(series, table.rows, strict=True)
        ]
        return Table(columns, lines)

    def _keys(self) -> Line:
        held = Cell("  held", "warn") if self._held else Cell("")
        return line(Cell(f"q quit  s sort: {self.sort}  space hold", "dim"), held)


def sparkline(values: list[float | None]) -> str:
    """Draw values as blocks from nothing to their largest; a missing one is a blank."""
    most = max((value for value in values if value is not None), default=0.0)
    if most <= 0:
        return ""
    top = len(BLOCKS) - 1
    return "".join(
        " " if value is None else BLOCKS[round(max(0.0, value) / most * top)] for value in values
    )


def _key(row: Document) -> tuple[str, str, str]:
    return text(row.get("name")), text(row.get("type")), tags(row.get("tags"))

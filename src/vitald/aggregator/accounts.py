"""The books behind the ledger: every line is entered exactly once."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitald.aggregator.interval import Ledger, Row
from vitald.metric import Event

if TYPE_CHECKING:
    from vitald.wire.parse import Line

# The last different rejected lines are kept for people to look at, each cut to this many bytes.
MOST_REJECTED_KEPT = 50
REJECTED_LENGTH = 200

# Reasons for which clients say that they dropped something; they choose them.
MOST_REASONS = 100


@dataclass(slots=True)
class Traffic:
    """What came in at one listener; `kernel_dropped` is None where the kernel keeps no count."""

    datagrams: int = 0
    bytes: int = 0
    kernel_dropped: int | None = None
    errors: int = 0


class Accounts:
    """Counts of one engine. `lines` is never stored: it is the sum of where lines went."""

    def __init__(self) -> None:
        self.aggregated = 0
        self.values = 0
        self.late = 0
        self.events = 0
        self.service_checks = 0
        self.internal_lines = 0
        self.overflowed = 0
        self.rejected: Counter[str] = Counter()
        self.shed: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.client_reported: defaultdict[str, float] = defaultdict(float)
        self.listeners: dict[str, Traffic] = {}
        # Oldest first, by when each was seen last; the value is how often it was.
        self._last_rejected: dict[tuple[bytes, str], int] = {}

    def listener(self, label: str) -> Traffic:
        """Return the traffic of a listener, which outlives its socket."""
        return self.listeners.setdefault(label, Traffic())

    def reject(self, line: bytes, reason: str) -> None:
        """Enter one line that was refused."""
        self.rejected[reason] += 1
        entry = (line[:REJECTED_LENGTH], reason)
        times = self._last_rejected.pop(entry, 0) + 1
        if len(self._last_rejected) >= MOST_REJECTED_KEPT:
            del self._last_rejected[next(iter(self._last_rejected))]
        self._last_rejected[entry] = times

    def aggregate(self, line: Line) -> None:
        """Enter one line that was taken."""
        self.aggregated += 1
        self.values += sum(len(sample.values) for sample in line.samples)
        if line.extended is not None:
            is_event = isinstance(line.extended, Event)
            self.events += is_event
            self.service_checks += not is_event
        self.notes.update(line.notes)

    def report(self, row: Row) -> None:
        """Enter what clients said, over one interval, that they dropped."""
        reason = dict(row.tags).get("reason", "")
        entry = f"dropped_{reason}" if reason else "dropped"
        if entry not in self.client_reported and len(self.client_reported) >= MOST_REASONS:
            entry = "dropped"
        self.client_reported[entry] += row.sum

    def ledger(self) -> Ledger:
        """Return the counts as they stand; the caller adds what the series table knows."""
        traffic = self.listeners.values()
        return Ledger(
            datagrams_received=sum(each.datagrams for each in traffic),
            bytes_received=sum(each.bytes for each in traffic),
            kernel_dropped=sum(each.kernel_dropped or 0 for each in traffic),
            lines=self.aggregated + self.rejected.total() + self.shed.total(),
            internal_lines=self.internal_lines,
            values=self.values,
            aggregated=self.aggregated,
            rejected=dict(self.rejected),
            shed=dict(self.shed),
            notes=dict(self.notes),
            late=self.late,
            client_reported=dict(self.client_reported),
            events=self.events,
            service_checks=self.service_checks,
            series_overflowed=self.overflowed,
            listeners={
                label: {
                    "datagrams": each.datagrams,
                    "bytes": each.bytes,
                    "kernel_dropped": each.kernel_dropped,
                    "errors": each.errors,
                }
                for label, each in self.listeners.items()
            },
            last_rejected=[
                {"line": line.decode("utf-8", "backslashreplace"), "reason": reason, "times": times}
                for (line, reason), times in reversed(self._last_rejected.items())
            ],
        )

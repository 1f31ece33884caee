"""The book in which what clients claim is held against what of it arrived.

A client claims what it handed to its socket, and marks every datagram with the samples in it
(`vitald.wire.claims`). Both are ordinary series; the book reads them once a sealed slot.

- A claim follows what it speaks of on the same way, so what is missing when it is there was lost,
  or is late. A difference counts as lost once it stood at the ends of two slots: what comes late,
  or out of order, has an interval to arrive.
- What arrives between the last claim and the end of a slot makes the difference smaller. So a
  loss may be seen later than it happened, by what the client sends between two claims, and what
  was once seen stays.
- The claims of a client that began before the book speak of a past that nobody kept. All of it
  counts as arrived that may have: a claim in one slot covers what had arrived by the one before.
- At the series limit the stamps of a client may have become nobody's, unless it has a series of its
  own. So a client without stamps in such a slot is, once it says something, one from before.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from vitald.aggregator.selector import Selector
from vitald.metric import MetricType
from vitald.wire.claims import CLAIMED, CLAIMED_DATAGRAMS, CLIENT, RECEIVED, STARTED
from vitald.wire.encode import CLIENT_DROPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vitald.aggregator.engine import Source
    from vitald.aggregator.interval import Row

MOST_CLIENTS = 1000
# A client that was silent for so long, in seconds, is only in the totals.
SILENCE = 3600.0

_SELECTOR = Selector(names=(RECEIVED, CLAIMED, CLAIMED_DATAGRAMS, STARTED, CLIENT_DROPPED))
# A window of so many intervals holds the newest slot alone: one of less than half an interval
# holds none (see `Windows.select`), and no two slots end within a ten-thousandth.
_NEWEST = 0.5001

# Anybody may send such lines. Sums beyond this are not exact, and no client's.
_MOST = 2.0**53
_MOST_REASONS = 20
# How far a client's clock may be ahead of ours, in seconds, and still be believed.
_AHEAD = 1.0


class Claimed(NamedTuple):
    """The claims of one client in one slot; they are cumulative, so `last` has it all."""

    first: float
    last: float


@dataclass(slots=True)
class _Said:
    """What arrived from one client, and of its claims, in one slot."""

    received: float = 0.0
    datagrams: float = 0.0
    claimed: Claimed | None = None
    claimed_datagrams: Claimed | None = None
    started: float | None = None
    dropped: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Balance:
    """Claimed, received and lost of one kind: samples, or the datagrams they came in.

    `claimed` is never less than what arrived and what was lost: the rest of a claim may still be
    on its way.
    """

    received: float = 0.0
    lost: float = 0.0
    _claim: float = 0.0
    # What was claimed before the book began: never less than the truth, None before a claim.
    _before: float | None = None
    _difference: float = 0.0

    @property
    def claimed(self) -> float:
        """Return what was claimed since the book began."""
        return max(self._claim - (self._before or 0.0), self.received + self.lost)

    def enter(self, received: float, claimed: Claimed | None, *, is_new: bool) -> None:
        """Enter one slot; `is_new` says that the client began after the book."""
        if claimed is not None:
            # Whatever had arrived when the slot began is in every claim that came in it.
            before = 0.0 if is_new else max(0.0, claimed.first - self.received)
            self._before = before if self._before is None else min(self._before, before)
            self._claim = claimed.last
        self.received += received

    def settle(self) -> None:
        """Compare at the end of a slot, whether or not anything came."""
        if self._before is None:
            return
        difference = self._claim - self._before - self.received
        self.lost = max(self.lost, min(difference, self._difference))
        self._difference = difference


@dataclass(slots=True)
class ClientBook:
    """One client's account; `dropped` is what it says it dropped itself, by reason.

    `is_doubtful` says that something of it may have arrived as nobody's.
    """

    client: str
    last_seen: float = 0.0
    samples: Balance = field(default_factory=Balance)
    datagrams: Balance = field(default_factory=Balance)
    dropped: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    is_doubtful: bool = False

    def enter(self, said: _Said, end: float, *, is_new: bool) -> None:
        """Enter what one slot that ended at `end` had of this client."""
        self.last_seen = end
        self.samples.enter(said.received, said.claimed, is_new=is_new)
        self.datagrams.enter(said.datagrams, said.claimed_datagrams, is_new=is_new)
        for reason, samples in said.dropped.items():
            is_known = reason in self.dropped or len(self.dropped) < _MOST_REASONS
            self.dropped[reason if is_known else "other"] += samples


@dataclass(slots=True)
class Totals:
    """Sums over all clients, those that are gone among them.

    `clients` were seen so far; `untracked` had no room in the book when the last slot was sealed,
    and are in no sum.
    """

    clients: int = 0
    untracked: int = 0
    claimed: float = 0.0
    received: float = 0.0
    lost: float = 0.0
    claimed_datagrams: float = 0.0
    received_datagrams: float = 0.0
    lost_datagrams: float = 0.0

    def add(self, book: ClientBook) -> None:
        """Add one client's sums."""
        self.clients += 1
        self.claimed += book.samples.claimed
        self.received += book.samples.received
        self.lost += book.samples.lost
        self.claimed_datagrams += book.datagrams.claimed
        self.received_datagrams += book.datagrams.received
        self.lost_datagrams += book.datagrams.lost


class Claims:
    """The books of at most `most` clients, those seen last.

    `start` is when receiving began and `interval` the engine's, in seconds. Times are Unix seconds:
    the clients' starts are, and come from other processes.
    """

    def __init__(self, start: float, *, interval: float = 10.0, most: int = MOST_CLIENTS) -> None:
        self._interval = interval
        self._most = most
        # A client that began after this moment is in no forgotten book, so it claims from 0.
        self._complete_since = start
        # Ordered by when each was seen last, the oldest first.
        self._books: dict[str, ClientBook] = {}
        self._gone = Totals()
        self._untracked = 0

    def books(self) -> list[ClientBook]:
        """Return the clients, those seen last first."""
        return sorted(self._books.values(), key=lambda book: (-book.last_seen, book.client))

    def totals(self) -> Totals:
        """Return the sums over all clients there ever were."""
        totals = replace(self._gone, untracked=self._untracked)
        for book in self._books.values():
            totals.add(book)
        return totals

    def observe(self, engine: Source, end: float) -> None:
        """Enter the slot that was just sealed, which ended at `end`; each slot once."""
        answer = engine.query(_SELECTOR, self._interval * _NEWEST)
        self.settle((row for batch in answer.rows() for row in batch), end)

    def settle(self, rows: Iterable[Row], end: float) -> None:
        """Enter what one slot that ended at `end` has of clients; each slot once."""
        said, is_crowded = _read(rows)
        newcomers = []
        if is_crowded:
            self._doubt(said)
        for client, one in said.items():
            book = self._books.get(client)
            if book is not None and not book.is_doubtful:
                self._books[client] = self._books.pop(client)
                self._enter(book, one, end)
                continue
            if book is not None:
                self._forget(book)
            if not is_crowded or one.datagrams:
                newcomers.append(client)
        self._untracked = 0
        # The engines have no order in common.
        for client in sorted(newcomers):
            if self._has_room(end):
                book = self._books[client] = ClientBook(client)
                self._enter(book, said[client], end)
            else:
                self._untracked += 1
                self._complete_since = max(self._complete_since, end)
        if is_crowded:
            self._complete_since = max(self._complete_since, end)
        for book in self._books.values():
            book.samples.settle()
            book.datagrams.settle()
        self._forget_silent(end)

    def _doubt(self, said: dict[str, _Said]) -> None:
        """Mark the clients whose stamps may be among those that the series limit made nobody's."""
        for client, book in self._books.items():
            book.is_doubtful |= client not in said or not said[client].datagrams

    def _enter(self, book: ClientBook, said: _Said, end: float) -> None:
        started = said.started
        is_new = started is not None and self._complete_since <= started <= end + _AHEAD
        book.enter(said, end, is_new=is_new)

    def _has_room(self, end: float) -> bool:
        """Make room for one more client, at the cost of one that is silent."""
        if len(self._books) >= self._most:
            oldest = next(iter(self._books.values()))
            if oldest.last_seen >= end:
                return False
            self._forget(oldest)
        return True

    def _forget_silent(self, end: float) -> None:
        silent = [book for book in self._books.values() if end - book.last_seen >= SILENCE]
        for book in silent:
            self._forget(book)

    def _forget(self, book: ClientBook) -> None:
        del self._books[book.client]
        self._gone.add(book)
        self._complete_since = max(self._complete_since, book.last_seen)


def _read(rows: Iterable[Row]) -> tuple[defaultdict[str, _Said], bool]:
    """Sort rows by client; say whether there are stamps that the series limit made nobody's."""
    said: defaultdict[str, _Said] = defaultdict(_Said)
    is_crowded = False
    for row in rows:
        tags = dict(row.tags)
        client = tags.get(CLIENT, "")
        if not row.count:  # a gauge that holds what it was
            continue
        if not client:
            is_crowded |= row.name == RECEIVED
        elif row.type is MetricType.COUNTER:
            _count(said[client], row, tags)
        elif row.type is MetricType.GAUGE:
            _claim(said[client], row)
    return said, is_crowded


def _count(said: _Said, row: Row, tags: dict[str, str]) -> None:
    if not 0.0 <= row.sum <= _MOST:
        return
    if row.name == RECEIVED:
        said.received += row.sum
        said.datagrams += row.count
    elif row.name == CLIENT_DROPPED:
        reason = tags.get("reason", "")
        said.dropped[reason] = said.dropped.get(reason, 0.0) + row.sum


def _claim(said: _Said, row: Row) -> None:
    first, last = row.min, row.last
    if first is None or last is None or not 0.0 <= first <= last <= _MOST:
        return
    if row.name == CLAIMED:
        said.claimed = Claimed(first, last)
    elif row.name == CLAIMED_DATAGRAMS:
        said.claimed_datagrams = Claimed(first, last)
    elif row.name == STARTED:
        said.started = last

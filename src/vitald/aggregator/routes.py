"""The Python engine's fast path: spellings that were seen before.

A route stands for all lines with the same name and the same text behind the value. They differ in
the value alone, so they belong to one series with one rate, and their values can wait unparsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from vitald.aggregator.series import Counter, Gauge, SampledSeries, SetSeries
from vitald.wire.number import parse_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.aggregator.accounts import Accounts
    from vitald.aggregator.series import Series
    from vitald.wire.dialect import Dialect
    from vitald.wire.parse import Sample

# A longer spelling gets no route: their memory must not be the sender's choice.
LONGEST_SPELLING = 512

# What may wait in routes. The longer values wait, the more of them one fold takes: the cost of a
# fold is mostly the same however few there are.
MOST_WAITING_LINES = 100_000
MOST_WAITING_BYTES = 8_000_000
# Beyond that, this share of the routes is folded at a time, to hold the event loop for less long.
_SHARES = 8

# suffix -> name -> the waiting list's `append`.
Appends = dict[bytes, dict[bytes, "Callable[[bytes], None]"]]


class Route:
    """Where the values of one spelling wait."""

    __slots__ = ("dialect", "name", "rate", "series", "suffix", "waiting")

    def __init__(
        self, name: bytes, suffix: bytes, series: Series, rate: float, dialect: Dialect
    ) -> None:
        self.name = name
        self.suffix = suffix
        self.series = series
        self.rate = rate
        self.dialect = dialect
        self.waiting: list[bytes] = []


class Routes:
    """At most `most` routes; `take(line, dialect)` accounts for one line in full."""

    def __init__(
        self, accounts: Accounts, take: Callable[[bytes, Dialect], None], most: int
    ) -> None:
        self._accounts = accounts
        self._take = take
        self._most = most
        self._routes: list[Route] = []
        self._appends: dict[Dialect, Appends] = {}
        self._waiting = 0
        self._waiting_bytes = 0
        # How many routes the present round of shares has folded.
        self._folded = 0

    def of(self, dialect: Dialect) -> Appends:
        """Return the look-up table of a dialect."""
        return self._appends.setdefault(dialect, {})

    def learn(self, line: bytes, sample: Sample, dialect: Dialect, series: Series) -> None:
        """Give the spelling of `line` a route to `series`, where that keeps every answer the same.

        A timestamp needs the full path. A gauge's values must stay in order, so it has one
        spelling with a route at the most. What is folded into an overflow series gets none: those
        spellings have no bound, and one day there is room for their own series. A line with a bad
        value on its spelling's route comes here again.
        """
        if sample.timestamp is not None or len(line) > LONGEST_SPELLING:
            return
        if series.key != sample.key or (isinstance(series, Gauge) and series.route is not None):
            return
        name, _, tail = line.partition(b":")
        suffix = tail.partition(b"|")[2]
        if name in self.of(dialect).get(suffix, ()):
            return
        if len(self._routes) >= self._most:
            self.fold()
            self._forget(self._routes)
        route = Route(name, suffix, series, sample.rate, dialect)
        series.route = route
        self._routes.append(route)
        self.of(dialect).setdefault(suffix, {})[name] = route.waiting.append

    def note(self, lines: int, size: int) -> None:
        """Note that up to `lines` more wait, of `size` bytes; fold some when it is time."""
        self._waiting += lines
        self._waiting_bytes += size
        if self._waiting > MOST_WAITING_LINES or self._waiting_bytes > MOST_WAITING_BYTES:
            self._fold_share()

    def fold(self) -> None:
        """Put everything that waits into the open slot."""
        for route in self._routes:
            if route.waiting:
                self._fold(route)
        self._waiting = self._waiting_bytes = self._folded = 0

    def _fold_share(self) -> None:
        """Fold the next routes in turn.

        What waits is taken to be spread evenly. Where it is not, a round of shares may begin with
        the emptier routes, and up to twice the limit waits.
        """
        share = len(self._routes) // _SHARES + 1
        for route in self._routes[self._folded : self._folded + share]:
            if route.waiting:
                self._fold(route)
        self._folded += share
        self._waiting -= self._waiting // _SHARES
        self._waiting_bytes -= self._waiting_bytes // _SHARES
        if self._folded >= len(self._routes):
            self._folded = 0

    def settle(self, series: Series) -> None:
        """Fold what waits for a gauge, so that what comes next comes after it."""
        if isinstance(series, Gauge) and series.route is not None:
            route = cast("Route", series.route)
            if route.waiting:
                self._fold(route)

    def forget_dead(self) -> None:
        """Drop the routes to series that are gone. Nothing waits in them: they were idle."""
        self._forget([route for route in self._routes if not route.series.is_alive])

    def _forget(self, routes: list[Route]) -> None:
        for route in routes:
            route.series.route = None
            by_name = self._appends[route.dialect][route.suffix]
            del by_name[route.name]
            if not by_name:
                del self._appends[route.dialect][route.suffix]
        gone = set(routes)
        self._routes = [route for route in self._routes if route not in gone]

    def _fold(self, route: Route) -> None:
        lines = route.waiting[:]
        # The list itself must stay: its `append` is what the look-up table holds.
        route.waiting.clear()
        self._add(route, lines)

    def _add(self, route: Route, lines: list[bytes]) -> None:
        """Add lines in bulk; halves find a bad one, so that it costs the others next to nothing."""
        values = (
            _fold_set(route, lines)
            if isinstance(route.series, SetSeries)
            else _fold_numbers(route, lines)
        )
        if values:
            self._accounts.aggregated += len(lines)
            self._accounts.values += values
        elif len(lines) == 1:
            self._take(b"%b:%b|%b" % (route.name, lines[0], route.suffix), route.dialect)
        else:
            half = len(lines) // 2
            self._add(route, lines[:half])
            self._add(route, lines[half:])


def _fold_set(route: Route, members: list[bytes]) -> int:
    """Add all members, or none and return 0 when any one is empty or not UTF-8."""
    text = b"\n".join(members)
    if b"" in members:
        return 0
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return 0
    cast("SetSeries", route.series).add_members(members)
    return len(members)


def _fold_numbers(route: Route, lines: list[bytes]) -> int:
    """Add all values and return their number, or none and return 0 when any one is wrong."""
    texts = lines
    values = parse_numbers(texts)
    if values is None:
        # Packed values keep their order when the lines are joined by the packing separator.
        texts = b":".join(lines).split(b":")
        values = parse_numbers(texts)
        if values is None:
            return 0
    series = route.series
    if isinstance(series, Gauge):
        is_delta = route.dialect.gauge_sign == "delta"
        series.add_values(values, [is_delta and text[0] in b"+-" for text in texts])
    else:
        cast("Counter | SampledSeries", series).add_values(values, route.rate)
    return len(values)

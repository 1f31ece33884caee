"""Two engines that are told the same things: what one answers is held against the other's answer.

Counts, minima, maxima, last values, members and buckets agree exactly. Sums agree to 1e-12 of the
sum of magnitudes: in which order numbers are added is no promise. So do counts and buckets where
a sample's weight is no exact double, and what a gauge that deltas moved is at.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from math import frexp, isfinite
from typing import TYPE_CHECKING

from engines import ENGINES, START, Socket, assert_balanced, rows_of
from hostile import DIALECTS, Ask, Ingest, Tick

from vitald.aggregator.sockets import Address
from vitald.clock import Instant
from vitald.metric import MetricType
from vitald.wire.dialect import DEFAULT_DIALECT
from vitald.wire.parse import Rejected, parse_line

if TYPE_CHECKING:
    from vitald.aggregator.interval import Row

ROUNDING = 1e-12
FRACTIONS = (0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
# How many different rejected lines an engine keeps.
MOST_KEPT = 50


@dataclass
class Moved:
    """What was ever sent to the series of one name: the measure of rounding."""

    magnitude: float = 0.0
    has_inexact_weights: bool = False
    has_deltas: bool = False

    def take(self, sample):
        if sample.key.type is not MetricType.SET:
            self.magnitude += sum(map(abs, sample.values)) / sample.rate
        self.has_inexact_weights |= frexp(sample.rate)[0] != 0.5
        self.has_deltas |= any(sample.signed)


class Twins:
    """The reference engine and another one."""

    def __init__(self, other="native", **options):
        self.now = Instant(START, 500.0)
        self.engines = [ENGINES[name](self.now, **options) for name in ("python", other)]
        # Rows of overflow series have what was sent to other names, so there is one for the type.
        self.moved = defaultdict(Moved)
        self.refused = defaultdict(int)

    def play(self, story):
        """Tell both the whole story, compare every answer on the way and the books at the end."""
        for step in story:
            if isinstance(step, Ingest):
                self.ingest(*step)
            elif isinstance(step, Tick):
                self.tick(*step)
            elif isinstance(step, Ask):
                self.ask(*step)
            else:
                for engine in self.engines:
                    engine.tidy()
        self.compare_ledgers()

    def ingest(self, data, label="udp", cut=False, dialect=DEFAULT_DIALECT):
        for engine in self.engines:
            self.hand_over(engine, data, label, cut, dialect)
        lines = data.split(b"\n")
        if cut and label != "internal":
            self.refused[lines.pop()[:200], "truncated"] += 1
        for line in lines:
            if line not in {b"", b"\r"}:
                self._note(line, parse_line(line, dialect))

    def hand_over(self, engine, data, label, cut, dialect):
        engine.ingest(data, label=label, cut=cut, dialect=dialect)

    def _note(self, line, parsed):
        if isinstance(parsed, Rejected):
            self.refused[line[:200], parsed.reason] += 1
            return
        for sample in parsed.samples:
            self.moved[sample.key.type, sample.key.name].take(sample)
            self.moved[sample.key.type, "vitald.overflow"].take(sample)

    # What is compared

    def tick(self, length=1.0, jump=0.0):
        self.now = Instant(self.now.wall + length + jump, self.now.monotonic + length)
        reference, other = (engine.rotate(self.now) for engine in self.engines)
        assert list(other.events) == list(reference.events)
        assert list(other.service_checks) == list(reference.service_checks)
        self.compare_intervals(reference, other)
        pairs = zip(
            sorted(reference.corrections, key=_span),
            sorted(other.corrections, key=_span),
            strict=True,
        )
        for ours, theirs in pairs:
            self.compare_intervals(ours, theirs)
        late = [sorted(interval.late, key=_order) for interval in (reference, other)]
        for ours, theirs in zip(*late, strict=True):
            self.compare_rows(ours, theirs)
        return reference, other

    def compare_intervals(self, reference, other):
        assert _span(other) == _span(reference)
        for idle in (False, True):
            self.compare_all(*(_collected(each.rows(idle=idle)) for each in (reference, other)))

    def ask(self, window, selector):
        reference, other = (engine.query(selector, window) for engine in self.engines)
        assert (*_span(other), other.complete) == (*_span(reference), reference.complete)
        self.compare_all(rows_of(reference), rows_of(other))

    def compare_all(self, reference, other):
        found = differences(dict.fromkeys(reference), dict.fromkeys(other))
        assert found == {}, found
        for key, row in reference.items():
            self.compare_rows(row, other[key])

    def compare_rows(self, reference: Row, other: Row):
        identity = (reference.type, reference.name, reference.tags)
        assert (other.type, other.name, other.tags) == identity
        moved = self.moved[reference.type, reference.name]
        weighed = ROUNDING if moved.has_inexact_weights else 0.0
        assert _near(other.count, reference.count, weighed * reference.count), identity
        slack = ROUNDING * moved.magnitude
        levels = slack if reference.type is MetricType.GAUGE and moved.has_deltas else 0.0
        summed = max(slack, levels * reference.count)
        assert _near(other.sum, reference.sum, summed), (identity, other.sum, reference.sum)
        for field in ("min", "max", "last"):
            ours, theirs = getattr(reference, field), getattr(other, field)
            assert _near(theirs, ours, levels), (identity, field, theirs, ours)
        assert other.unique == reference.unique, identity
        assert (other.histogram is None) == (reference.histogram is None)
        if reference.histogram is not None:
            compare_histograms(reference.histogram, other.histogram, weighed, summed)

    def compare_ledgers(self):
        ledgers = [engine.ledger() for engine in self.engines]
        for ledger in ledgers:
            assert_balanced(ledger)
        ledgers = list(map(asdict, ledgers))
        kept = [
            {
                (entry["line"], entry["reason"]): entry["times"]
                for entry in each.pop("last_rejected")
            }
            for each in ledgers
        ]
        reported = [each.pop("client_reported") for each in ledgers]
        for traffic in ledgers[1]["listeners"].values():
            traffic["kernel_dropped"] = traffic["kernel_dropped"] or None  # no socket, no count
        found = differences(*ledgers)
        assert found == {}, found
        assert reported[1].keys() == reported[0].keys(), reported
        for reason, count in reported[0].items():
            assert _near(reported[1][reason], count, ROUNDING * count)
        self._compare_kept(*kept)
        return ledgers[0]

    def _compare_kept(self, reference, other):
        if len(self.refused) <= MOST_KEPT:
            found = differences(reference, other)
            assert found == {}, found
            return
        # Which of more are kept depends on when a line was looked at, and that is no promise.
        assert len(other) == len(reference) == MOST_KEPT
        shown = defaultdict(int)
        for (line, reason), times in self.refused.items():
            shown[line.decode("utf-8", "backslashreplace"), reason] += times
        assert all(times <= shown[entry] for entry, times in other.items())


class TwinsOverSockets(Twins):
    """Twins of which the other one gets every datagram over one of several sockets.

    Each waits until the one before it has arrived: then the order is that of the reference.
    """

    def __init__(self, choose, **options):
        super().__init__(**options)
        self._choose = choose
        self.engines[0].ingest(b"", label="udp")  # a listener, though nothing came yet
        self._ends = {dialect: [Socket(_LOOPBACK) for _ in range(3)] for dialect in DIALECTS}
        for dialect, ends in self._ends.items():
            for end in ends:
                self.engines[1].attach(end.bound, "udp", dialect)

    def ingest(self, data, label="udp", cut=False, dialect=DEFAULT_DIALECT):
        if data:  # without a byte it would be a datagram here and nothing there
            super().ingest(data, "internal" if label == "internal" else "udp", False, dialect)

    def hand_over(self, engine, data, label, cut, dialect):
        if engine is self.engines[0] or label == "internal":
            super().hand_over(engine, data, label, cut, dialect)
            return
        self._choose(self._ends[dialect]).send(data)
        expected = self.engines[0].ledger().datagrams_received
        deadline = time.monotonic() + 10
        while engine.ledger().datagrams_received != expected:
            assert time.monotonic() < deadline, "a datagram was lost"

    def compare_ledgers(self):
        for ends in self._ends.values():
            for end in ends:
                self.engines[1].detach(end.bound)
                end.close()
        super().compare_ledgers()


_LOOPBACK = Address("udp", "127.0.0.1")


def differences(reference, other):
    """What two dictionaries do not agree in, with both values; a test's message."""
    return {
        key: (reference.get(key, "missing"), other.get(key, "missing"))
        for key in reference.keys() | other.keys()
        if key not in reference or key not in other or reference[key] != other[key]
    }


def compare_histograms(reference, other, weighed=0.0, summed=0.0):
    """`weighed` is the slack of counts relative to themselves, `summed` that of the sum."""
    for field in ("scale", "relative_error", "min", "max"):
        assert getattr(other, field) == getattr(reference, field), field
    for field in ("count", "zero_count"):
        ours = getattr(reference, field)
        assert _near(getattr(other, field), ours, weighed * ours), field
    assert _near(other.sum, reference.sum, summed)
    for side in ("positive", "negative"):
        ours, theirs = dict(getattr(reference, side)), dict(getattr(other, side))
        assert theirs.keys() == ours.keys(), (side, theirs.keys() ^ ours.keys())
        for index, count in ours.items():
            assert _near(theirs[index], count, weighed * count), (side, index)
    assert other.quantiles(FRACTIONS) == reference.quantiles(FRACTIONS)
    assert [other.quantile(each) for each in FRACTIONS] == other.quantiles(FRACTIONS)
    ours, theirs = list(reference.cells()), list(other.cells())
    assert [value for value, _ in theirs] == [value for value, _ in ours]


def _span(source):
    return source.start, source.end, source.seconds


def _order(row):
    return (row.type.value, row.name, row.tags, row.count, row.min, row.max, row.sum, row.unique)


def _collected(batches):
    found = {}
    for batch in batches:
        assert len(batch) <= 1000
        for row in batch:
            assert found.setdefault((row.type.value, row.name, row.tags), row) is row
    return found


def _near(value, expected, slack):
    if value is None or expected is None:
        return value is expected
    if value == expected:
        return True
    # Past the largest double only the value is lost, and how is no promise.
    return not isfinite(slack) or abs(value - expected) <= slack

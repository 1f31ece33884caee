"""Lines, questions, ticks, clock steps and late samples in any order, against raw samples."""

from __future__ import annotations

from math import ceil

import pytest
from engines import BOUND, ENGINES, LINES, START, ask, assert_balanced, rows_of
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from vitald.aggregator.selector import Selector
from vitald.clock import Instant
from vitald.metric import MetricType
from vitald.wire.parse import Rejected, parse_line

WINDOWS = (1.0, 5.0, 30.0, 60.0, 600.0)  # levels of 1, 5 and 20 s
# The finest level surely has the slots of this many seconds.
RETAINED = 20.0


class Slot:
    """All raw samples between two instants, in the order in which they came."""

    def __init__(self, start):
        self.start = start
        self.end = None
        self.samples = []

    def holds(self, wall):
        return self.start.wall <= wall < self.end.wall


class EngineMachine(RuleBasedStateMachine):
    def __init__(self, build):
        super().__init__()
        self.now = Instant(START, 500.0)
        self.engine = build(self.now, interval=1.0, windows=WINDOWS, series_expiry=30.0)
        self.sealed = []
        self.open = Slot(self.now)
        self.state = {}  # of every gauge: what a delta applies to
        self.held = {}  # (place of the slot, value)
        self.lines = self.aggregated = self.late = 0

    # What happens

    @rule(lines=st.lists(LINES | st.binary(max_size=12), max_size=15))
    def ingest(self, lines):
        datagram = b"\n".join(lines)
        self.engine.ingest(datagram, label="udp")
        for line in datagram.split(b"\n"):
            if line and line != b"\r":
                parsed = self.account(line)
                for sample in () if parsed is None else parsed.samples:
                    assume(sample.timestamp is None)
                    self.add(self.open, sample)

    @rule(length=st.sampled_from([0.5, 1.0, 1.0, 1.0, 1.5, 7.0]), jump=st.just(0.0))
    def tick(self, length, jump):
        self.now = Instant(self.now.wall + length + jump, self.now.monotonic + length)
        self.engine.rotate(self.now)
        self.open.end = self.now
        for sample, level in self.open.samples:
            if sample.key.type is MetricType.GAUGE:
                self.held[sample.key] = (len(self.sealed), level)
        self.sealed.append(self.open)
        self.open = Slot(self.now)

    @rule(jump=st.sampled_from([-300.0, -5.0, -0.25, 0.25, 5.0, 300.0]))
    def tick_over_a_step_of_the_clock(self, jump):
        self.tick(1.0, jump)

    @rule(ticks=st.integers(2, 30))
    def let_time_pass(self, ticks):
        for _ in range(ticks):
            self.tick(1.0, 0.0)

    @rule()
    def be_idle_until_everything_is_forgotten(self):
        for _ in range(90):
            self.tick(10.0, 0.0)
        assert self.engine.ledger().series_active == 0
        assert ask(self.engine, window=WINDOWS[-1]) == {}
        self.sealed.clear()
        self.state.clear()
        self.held.clear()

    @rule(turns=st.integers(1, 3))
    def tidy(self, turns):
        for _ in range(turns):
            self.engine.tidy()

    @rule(back=st.integers(1, 15), shape=st.sampled_from([b"a:3|c", b"g:11|g", b"l:4|g", b"l:2|c"]))
    def send_late(self, back, shape):
        assume(back <= len(self.sealed))
        wall = int(self.sealed[-back].start.wall) + 1
        assume(not self.open.start.wall <= wall < self.open.start.wall + 1.0)
        places = [place for place, slot in enumerate(self.sealed) if slot.holds(wall)]
        assume(places)
        place = places[-1]
        assume(self.sealed[place].end.monotonic > self.now.monotonic - RETAINED)
        line = b"%b|T%d" % (shape, wall)
        self.engine.ingest(line)
        (sample,) = self.account(line).samples
        self.sealed[place].samples.append((sample, sample.values[-1]))
        if sample.key.type is MetricType.GAUGE and place >= self.held.get(sample.key, (-1, 0))[0]:
            self.held[sample.key] = (place, sample.values[-1])
            if all(other.key != sample.key for other, _ in self.open.samples):
                self.state[sample.key] = sample.values[-1]

    @rule(lines=st.sampled_from([b"a:1|c|T1", b"g:3|g|T99999999999"]))
    def send_from_a_time_that_no_slot_holds(self, lines):
        self.engine.ingest(lines)
        self.late += 1
        self.add(self.open, self.account(lines).samples[0])

    # What is asked

    @invariant()
    def the_ledger_balances(self):
        ledger = self.engine.ledger()
        assert_balanced(ledger)
        assert (ledger.lines, ledger.aggregated) == (self.lines, self.aggregated)
        assert ledger.late == self.late

    @rule(window=st.sampled_from(WINDOWS))
    def ask_for_a_window(self, window):
        answer = self.engine.query(Selector(), window)
        rows = rows_of(answer)
        since = self.now.monotonic - answer.seconds - 1e-6
        covered = [slot for slot in self.sealed if slot.start.monotonic >= since]
        if self.sealed:
            assert covered
            assert answer.end == self.now.wall
        found = {}
        for slot in covered:
            for sample, level in slot.samples:
                found.setdefault(sample.key, []).append((sample, level))
        expected = {*found, *self.held}
        assert rows.keys() == {(key.type.value, key.name, key.tags) for key in expected}
        for key in expected:
            self.compare(rows[key.type.value, key.name, key.tags], found.get(key, []))

    def compare(self, row, samples):
        if row.type is MetricType.GAUGE:
            key = (row.type, row.name, row.tags)
            if samples:
                assert row.last == samples[-1][1]
            else:
                assert (row.count, row.last) == (0, self.held[key][1])
            return
        values = sorted((v, 1 / s.rate) for s, _ in samples for v in s.values)
        if row.type is MetricType.SET:
            assert row.unique == len({value for value, _ in values})
            return
        total = sum(value * weight for value, weight in values)
        assert abs(row.sum - total) <= 1e-9 * max(1.0, sum(abs(v) * w for v, w in values))
        assert abs(row.count - sum(weight for _, weight in values)) <= 1e-9 * row.count
        if row.histogram is not None:
            assert (row.min, row.max) == (values[0][0], values[-1][0])
            if all(weight == 1 for _, weight in values):
                for fraction in (0.1, 0.5, 0.9, 0.99):
                    truth = values[ceil(fraction * len(values) * (1 - 1e-12)) - 1][0]
                    assert abs(row.histogram.quantile(fraction) - truth) <= BOUND * abs(truth)

    # The oracle

    def account(self, line):
        self.lines += 1
        parsed = parse_line(line)
        if isinstance(parsed, Rejected):
            return None
        self.aggregated += 1
        return parsed

    def add(self, slot, sample):
        level = None
        if sample.key.type is MetricType.GAUGE:
            level = self.state.get(sample.key, 0.0)
            for value, is_delta in zip(sample.values, sample.signed, strict=True):
                level = level + value if is_delta else value
            self.state[sample.key] = level
        slot.samples.append((sample, level))


@pytest.mark.parametrize("name", ENGINES)
def test_any_order_of_events_gives_what_the_raw_samples_give(name):
    run_state_machine_as_test(
        lambda: EngineMachine(ENGINES[name]),
        settings=settings(max_examples=100, stateful_step_count=40, deadline=None),
    )

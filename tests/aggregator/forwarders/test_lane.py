from __future__ import annotations

import asyncio
from collections import deque
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from vitald.aggregator.forwarders.dispatcher import Dispatcher
from vitald.aggregator.forwarders.lane import LONGEST_RETRY_AFTER, Policy
from vitald.errors import ForwardError


def test_an_absurd_retry_after_is_bounded():
    error = ForwardError("busy", retry_after=1e9)
    assert Policy().pause(1, error, Random(1)) == LONGEST_RETRY_AFTER


def test_a_thousand_failures_do_not_overflow_the_pause():
    assert Policy(retry_max=60.0).pause(5000, OSError(), Random(1)) <= 60.0


class Faulty:
    """A forwarder with faults to come: exceptions, and events that it waits for."""

    def __init__(self):
        self.script = deque()
        self.delivered = []

    async def send(self, interval):
        step = self.script.popleft() if self.script else None
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif step is not None:
            raise step
        self.delivered.append(interval)


class Numbered(int):
    """An interval that sorts."""

    corrections = ()


async def test_errors_are_shown_bounded_and_without_control_characters(time):
    dispatcher, target = Dispatcher(clock=time), Faulty()
    target.script.append(ForwardError("\x1b[2J" + "x" * 5000, retryable=False))
    dispatcher.add("a", "fake", target)
    dispatcher.submit(Numbered(1))
    await time.settle()
    shown = dispatcher.statistics()[0]["last_error"]
    assert shown.isprintable()
    assert len(shown) < 400
    await dispatcher.stop(1.0)


async def test_what_a_forwarder_skipped_is_in_its_statistics(time):
    dispatcher, target = Dispatcher(clock=time), Faulty()
    target.skipped = {"too_long": 2}
    dispatcher.add("a", "fake", target)
    assert dispatcher.statistics()[0]["skipped"] == {"too_long": 2}
    await dispatcher.stop(1.0)


class Lanes(RuleBasedStateMachine):
    """Random intervals, faults and time: what was counted is what happened."""

    QUEUE = 4
    AGE = 50.0

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.time = self.TIME()
        self.dispatcher = Dispatcher(clock=self.time, sleep=self.time.sleep, random=Random(7))
        self.faulty, self.fast = Faulty(), Faulty()
        self.count = 0
        self.run(self.start())

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def start(self):
        common = {"queue": self.QUEUE, "timeout": 5.0, "max_age": self.AGE}
        self.dispatcher.add("faulty", "fake", self.faulty, **common)
        self.dispatcher.add("fast", "fake", self.fast, **common)

    @rule(count=st.integers(1, 6))
    def submit(self, count):
        async def submit():
            for _ in range(count):
                self.dispatcher.submit(Numbered(self.count))
                self.count += 1
                await self.time.settle()

        self.run(submit())

    @rule(
        fault=st.sampled_from(
            [
                OSError("down"),
                ForwardError("busy", retry_after=7.0),
                ForwardError("bad", retryable=False),
                ValueError("bug"),
                "silence",
            ]
        ),
        times=st.integers(1, 3),
    )
    def break_target(self, fault, times):
        self.faulty.script.extend([asyncio.Event() if fault == "silence" else fault] * times)

    @rule(seconds=st.floats(0.1, 60))
    def wait(self, seconds):
        self.run(self.time.advance(seconds))

    @invariant()
    def every_interval_is_accounted_for(self):
        for entry in self.dispatcher.statistics():
            assert entry["submitted"] == self.count
            balance = entry["sent"] + entry["queued"] + sum(entry["dropped"].values())
            assert balance == self.count
            assert entry["queued"] <= self.QUEUE + 1

    @invariant()
    def nothing_is_delivered_twice_or_out_of_order(self):
        delivered = self.faulty.delivered
        assert delivered == sorted(set(delivered))
        assert len(delivered) == self.dispatcher.statistics()[0]["sent"]

    @invariant()
    def the_fast_target_has_everything(self):
        assert self.fast.delivered == list(range(self.count))

    def teardown(self):
        async def stop():
            stopping = asyncio.ensure_future(self.dispatcher.stop(10.0))
            await self.time.advance(20.0)
            assert stopping.done()

        self.run(stop())
        self.every_interval_is_accounted_for()
        assert all(entry["queued"] == 0 for entry in self.dispatcher.statistics())
        self.loop.close()


@pytest.fixture
def machine(time):
    """Bind the fake time's class, which lives in conftest, to the state machine."""
    Lanes.TIME = type(time)
    return Lanes


def test_lanes_balance_under_any_sequence_of_faults(machine):
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )

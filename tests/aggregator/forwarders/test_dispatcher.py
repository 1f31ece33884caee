from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from random import Random

import pytest

from vitald.aggregator.forwarders.dispatcher import Dispatcher
from vitald.errors import ForwardError


class Sealed:
    """An interval as far as the dispatcher looks at it."""

    def __init__(self, *corrections):
        self.corrections = corrections


class Target:
    """A forwarder that follows a script: an exception is raised, anything else delivers."""

    def __init__(self, clock=None, script=()):
        self.script = deque(script)
        self.delivered = []
        self.attempts = []
        self._clock = clock

    async def send(self, interval):
        if self._clock is not None:
            self.attempts.append(self._clock.monotonic)
        step = self.script.popleft() if self.script else None
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif step is not None:
            raise step
        self.delivered.append(interval)


class Silent:
    """A forwarder that never answers; `entered` and `left` count its sends."""

    def __init__(self):
        self.entered = self.left = 0

    async def send(self, _interval):
        self.entered += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.left += 1


class Deaf:
    """A forwarder that does not heed cancellation until `released`."""

    def __init__(self):
        self.released = asyncio.Event()
        self.entered = 0

    async def send(self, _interval):
        self.entered += 1
        while not self.released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.released.wait()


@pytest.fixture
def dispatcher(time):
    return Dispatcher(clock=time, sleep=time.sleep, random=Random(1))


def of(dispatcher, name="a"):
    entry = next(entry for entry in dispatcher.statistics() if entry["name"] == name)
    balance = entry["sent"] + entry["queued"] + sum(entry["dropped"].values())
    assert entry["submitted"] == balance
    return entry


async def test_every_forwarder_gets_every_interval_once_in_order(dispatcher, time):
    one, two = Target(), Target()
    dispatcher.add("a", "fake", one)
    dispatcher.add("b", "fake", two)
    intervals = [Sealed() for _ in range(5)]
    for interval in intervals:
        dispatcher.submit(interval)
    await time.settle()
    assert one.delivered == two.delivered == intervals
    assert of(dispatcher)["sent"] == 5
    assert of(dispatcher)["last_sent"] == time.wall
    await dispatcher.stop(1.0)


async def test_a_slow_target_neither_delays_nor_doubles_a_fast_one(dispatcher, time):
    gate = asyncio.Event()
    slow, fast = Target(script=[gate]), Target()
    dispatcher.add("slow", "fake", slow, timeout=1000.0)
    dispatcher.add("fast", "fake", fast)
    intervals = [Sealed() for _ in range(4)]
    for count, interval in enumerate(intervals, 1):
        dispatcher.submit(interval)
        await time.advance(10)
        assert fast.delivered == intervals[:count]
        assert slow.delivered == []
    gate.set()
    await time.settle()
    assert slow.delivered == intervals
    await dispatcher.stop(1.0)


async def test_a_target_that_never_answers_times_out_and_the_others_go_on(dispatcher, time):
    silent, fast = Silent(), Target()
    dispatcher.add("silent", "fake", silent, queue=3, timeout=10.0)
    dispatcher.add("fast", "fake", fast)
    for _ in range(10):
        dispatcher.submit(Sealed())
        await time.advance(10)
    assert len(fast.delivered) == 10
    entry = of(dispatcher, "silent")
    assert entry["sent"] == 0
    assert entry["last_error"] == "cannot send within 10 s"
    assert entry["dropped"]["queue_full"] >= 6
    assert silent.entered - silent.left <= 1
    stopping = asyncio.ensure_future(dispatcher.stop(5.0))
    await time.advance(5)
    await stopping
    assert silent.entered == silent.left
    assert of(dispatcher, "silent")["queued"] == 0


async def test_a_full_queue_drops_its_oldest_interval(dispatcher, time):
    gate = asyncio.Event()
    target = Target(script=[gate])
    dispatcher.add("a", "fake", target, queue=2, timeout=1000.0)
    intervals = [Sealed() for _ in range(5)]
    dispatcher.submit(intervals[0])
    await time.settle()
    for interval in intervals[1:]:
        dispatcher.submit(interval)
    assert of(dispatcher)["dropped"] == {"queue_full": 2}
    gate.set()
    await time.settle()
    assert target.delivered == [intervals[0], *intervals[3:]]
    await dispatcher.stop(1.0)


async def test_the_interval_that_is_retried_is_the_first_to_go_when_the_queue_is_full(
    dispatcher, time
):
    target = Target(script=[OSError("down")])
    dispatcher.add("a", "fake", target, queue=2)
    intervals = [Sealed() for _ in range(4)]
    dispatcher.submit(intervals[0])
    await time.settle()
    for interval in intervals[1:]:
        dispatcher.submit(interval)
    await time.advance(2)
    assert target.delivered == intervals[2:]
    assert of(dispatcher)["dropped"] == {"queue_full": 2}
    await dispatcher.stop(1.0)


async def test_pauses_double_up_to_the_longest_and_are_spread(dispatcher, time):
    target = Target(time, [ForwardError("down")] * 8)
    dispatcher.add("a", "fake", target, retry_initial=1.0, retry_max=16.0)
    dispatcher.submit(Sealed())
    await time.advance(200)
    pauses = [b - a for a, b in zip(target.attempts, target.attempts[1:], strict=False)]
    longest = [1, 2, 4, 8, 16, 16, 16, 16]
    assert len(pauses) == len(longest)
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert len({pause / most for pause, most in zip(pauses, longest, strict=True)}) > 1
    entry = of(dispatcher)
    assert (entry["sent"], entry["retried"]) == (1, 8)
    assert (entry["last_error"], entry["consecutive_failures"]) == ("down", 0)
    await dispatcher.stop(1.0)


async def test_a_pause_the_target_asks_for_is_kept(dispatcher, time):
    target = Target(time, [ForwardError("busy", retry_after=90.0)])
    dispatcher.add("a", "fake", target, retry_initial=1.0, retry_max=4.0)
    dispatcher.submit(Sealed())
    await time.advance(89.9)
    assert target.delivered == []
    await time.advance(0.2)
    assert len(target.delivered) == 1
    await dispatcher.stop(1.0)


async def test_a_refused_interval_is_dropped_and_the_next_is_sent_at_once(dispatcher, time):
    target = Target(script=[ForwardError("bad request", retryable=False)])
    dispatcher.add("a", "fake", target)
    first, second = Sealed(), Sealed()
    dispatcher.submit(first)
    dispatcher.submit(second)
    await time.settle()
    assert target.delivered == [second]
    assert of(dispatcher)["dropped"] == {"refused": 1}
    await dispatcher.stop(1.0)


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("bug"), KeyError("x"), SystemExit(3), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_forwarder_raises_stays_in_its_lane(dispatcher, time, error):
    broken, fine = Target(script=[error]), Target()
    dispatcher.add("broken", "fake", broken)
    dispatcher.add("fine", "fake", fine)
    first, second = Sealed(), Sealed()
    dispatcher.submit(first)
    dispatcher.submit(second)
    await time.advance(5)
    assert fine.delivered == [first, second]
    assert second in broken.delivered
    assert of(dispatcher, "broken")["last_error"]
    await dispatcher.stop(1.0)


async def test_a_defective_forwarder_does_not_retry_the_interval_it_cannot_encode(dispatcher, time):
    target = Target(script=[ValueError("bug")])
    dispatcher.add("a", "fake", target)
    dispatcher.submit(Sealed())
    await time.advance(100)
    assert target.delivered == []
    assert of(dispatcher)["dropped"] == {"error": 1}
    await dispatcher.stop(1.0)


async def test_network_errors_that_were_not_wrapped_are_retried(dispatcher, time):
    target = Target(script=[ConnectionResetError(), asyncio.TimeoutError()])
    dispatcher.add("a", "fake", target)
    interval = Sealed()
    dispatcher.submit(interval)
    await time.advance(10)
    assert target.delivered == [interval]
    await dispatcher.stop(1.0)


async def test_a_send_that_ignores_cancellation_is_never_run_twice_at_once(dispatcher, time):
    deaf = Deaf()
    dispatcher.add("a", "fake", deaf, timeout=10.0)
    dispatcher.submit(Sealed())
    await time.advance(60)
    assert deaf.entered == 1
    assert "does not heed its cancellation" in of(dispatcher)["last_error"]
    deaf.released.set()
    await time.advance(60)
    assert deaf.entered == 1, "it arrived after all, so it must not be sent again"
    assert of(dispatcher)["sent"] == 1
    await dispatcher.stop(1.0)


@pytest.mark.parametrize("steps", range(8))
async def test_stop_in_any_moment_around_a_sends_begin_is_harmless(dispatcher, time, steps):
    dispatcher.add("a", "fake", Silent())
    await time.settle()
    dispatcher.submit(Sealed())
    for _ in range(steps):
        await asyncio.sleep(0)
    for lane in dispatcher._lanes.values():
        lane.task.cancel()
    stopping = asyncio.ensure_future(dispatcher.stop(0.0))
    await time.advance(0)
    await stopping
    assert of(dispatcher)["dropped"] == {"shutdown": 1}


async def test_a_send_that_finishes_in_spite_of_its_cancellation_counts_as_sent(dispatcher, time):
    class Late:
        async def send(self, _interval):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                return

    dispatcher.add("a", "fake", Late(), timeout=10.0)
    dispatcher.submit(Sealed())
    await time.advance(11)
    assert of(dispatcher)["sent"] == 1
    dispatcher.submit(Sealed())
    await time.settle()
    stopping = asyncio.ensure_future(dispatcher.stop(1.0))
    await time.advance(1)
    await stopping
    assert (of(dispatcher)["sent"], of(dispatcher)["dropped"]) == (2, {})


async def test_an_interval_that_waited_too_long_is_expired(dispatcher, time):
    target = Target(time, [ForwardError("down", retry_after=30.0)] * 2)
    dispatcher.add("a", "fake", target, max_age=40.0)
    dispatcher.submit(Sealed())
    await time.advance(30)
    fresh = Sealed()
    dispatcher.submit(fresh)
    await time.advance(9)
    assert of(dispatcher)["oldest_queued_age_seconds"] == pytest.approx(39)
    await time.advance(30)
    assert target.delivered == [fresh]
    assert len(target.attempts) == 3
    assert of(dispatcher)["dropped"] == {"expired": 1}
    await dispatcher.stop(1.0)


async def test_age_is_measured_on_the_monotonic_clock(dispatcher, time):
    gate = asyncio.Event()
    target = Target(script=[gate])
    dispatcher.add("a", "fake", target, max_age=100.0, timeout=1000.0)
    dispatcher.submit(Sealed())
    await time.settle()
    dispatcher.submit(Sealed())
    time.wall += 1e6
    gate.set()
    await time.settle()
    assert of(dispatcher)["sent"] == 2
    await dispatcher.stop(1.0)


async def test_stop_drains_what_it_can(dispatcher, time):
    target = Target()
    dispatcher.add("a", "fake", target)
    intervals = [Sealed() for _ in range(20)]
    for interval in intervals:
        dispatcher.submit(interval)
    await dispatcher.stop(5.0)
    assert target.delivered == intervals
    dispatcher.submit(Sealed())
    assert of(dispatcher)["dropped"] == {"shutdown": 1}


async def test_stop_tries_again_at_once_instead_of_sitting_out_a_pause(dispatcher, time):
    target = Target(script=[ForwardError("busy", retry_after=500.0)])
    dispatcher.add("a", "fake", target)
    interval = Sealed()
    dispatcher.submit(interval)
    await time.settle()
    await dispatcher.stop(5.0)
    assert target.delivered == [interval]


async def test_stop_ends_within_its_budget_and_counts_what_is_left(dispatcher, time, caplog):
    silent, down, fast = Silent(), Target(script=[ForwardError("down")] * 99), Target()
    dispatcher.add("silent", "fake", silent, timeout=100.0)
    dispatcher.add("down", "fake", down)
    dispatcher.add("fast", "fake", fast)
    for _ in range(3):
        dispatcher.submit(Sealed())
    await time.settle()
    stopping = asyncio.ensure_future(dispatcher.stop(5.0))
    await time.advance(4.9)
    assert not stopping.done()
    await time.advance(0.2)
    assert stopping.done()
    assert of(dispatcher, "silent")["dropped"] == {"shutdown": 3}
    assert of(dispatcher, "down")["dropped"] == {"shutdown": 3}
    assert of(dispatcher, "fast")["sent"] == 3
    assert silent.left == silent.entered
    assert "forwarder silent: 3 intervals dropped: shutdown" in caplog.text


async def test_stop_does_not_wait_for_a_send_that_ignores_cancellation(dispatcher, time):
    deaf = Deaf()
    dispatcher.add("a", "fake", deaf, timeout=100.0)
    dispatcher.submit(Sealed())
    await time.settle()
    stopping = asyncio.ensure_future(dispatcher.stop(1.0))
    await time.advance(5)
    assert stopping.done()
    assert of(dispatcher)["dropped"] == {"shutdown": 1}
    deaf.released.set()
    await time.settle()


async def test_stop_twice_and_stop_without_forwarders_are_fine(dispatcher):
    await dispatcher.stop(1.0)
    dispatcher.add("a", "fake", Target())
    await dispatcher.stop(1.0)
    await dispatcher.stop(1.0)


async def test_a_forwarder_can_be_removed_while_the_others_run(dispatcher, time):
    silent, fast = Silent(), Target()
    dispatcher.add("silent", "fake", silent)
    dispatcher.add("fast", "fake", fast)
    dispatcher.submit(Sealed())
    await time.settle()
    removing = asyncio.ensure_future(dispatcher.remove("silent"))
    await time.advance(0)
    await removing
    dispatcher.submit(Sealed())
    await time.settle()
    assert [entry["name"] for entry in dispatcher.statistics()] == ["fast"]
    assert (silent.entered, silent.left) == (1, 1)
    assert len(fast.delivered) == 2
    dispatcher.add("silent", "fake", Target())
    await dispatcher.stop(1.0)


async def test_corrections_come_first_and_only_to_targets_that_replace(dispatcher, time):
    replacing, adding = Target(), Target()
    adding.takes_corrections = False
    dispatcher.add("replacing", "fake", replacing)
    dispatcher.add("adding", "fake", adding)
    older, newer = Sealed(), Sealed()
    interval = Sealed(older, newer)
    dispatcher.submit(interval)
    await time.settle()
    assert replacing.delivered == [older, newer, interval]
    assert adding.delivered == [interval]
    await dispatcher.stop(1.0)


async def test_no_task_is_left_behind_by_what_a_lane_went_through(dispatcher, time):
    script = [ForwardError("down"), asyncio.Event(), ForwardError("down"), None]
    dispatcher.add("a", "fake", Target(script=script), timeout=5.0)
    before = len(asyncio.all_tasks())
    dispatcher.submit(Sealed())
    await time.advance(60)
    assert of(dispatcher)["sent"] == 1
    assert len(asyncio.all_tasks()) == before
    await dispatcher.stop(1.0)
    await time.settle()
    assert len(asyncio.all_tasks()) == before - 1


async def test_a_name_can_be_added_only_once(dispatcher):
    dispatcher.add("a", "fake", Target())
    with pytest.raises(ValueError, match="cannot add forwarder a: the name is taken"):
        dispatcher.add("a", "fake", Target())
    await dispatcher.stop(1.0)


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(dispatcher, time, caplog):
    caplog.set_level(logging.INFO)
    dispatcher.add("a", "fake", Target(script=[ForwardError("down")] * 4))
    dispatcher.submit(Sealed())
    await time.advance(100)
    assert [record.message for record in caplog.records] == [
        "forwarder a: will retry: down",
        "forwarder a: delivers again",
    ]
    await dispatcher.stop(1.0)

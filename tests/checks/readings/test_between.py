from __future__ import annotations

import pytest

from vitald.checks.readings.between import SHORTEST, Between, growth, per_second, share


class Meter:
    """A counter that grows by 10 per second of a clock that only `pause` and the test move."""

    def __init__(self, fake_time):
        self.time = fake_time
        self.pauses = []
        self.samples = 0

    def sample(self):
        self.samples += 1
        return self.time.monotonic * 10

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.time.jump(seconds)

    def between(self, **more):
        return Between(self.sample, clock=self.time, pause=self.pause, **more)


def test_the_first_answer_pauses_for_a_moment_and_is_true(fake_time):
    meter = Meter(fake_time)
    before, after, seconds = meter.between().take()
    assert meter.pauses == [SHORTEST]
    assert (after - before) / seconds == pytest.approx(10)


def test_later_answers_compare_with_the_one_before_and_do_not_pause(fake_time):
    meter = Meter(fake_time)
    between = meter.between()
    between.take()
    fake_time.jump(30)
    before, after, seconds = between.take()
    assert (seconds, after - before) == (pytest.approx(30), pytest.approx(300))
    assert meter.pauses == [SHORTEST]
    assert meter.samples == 3


def test_two_answers_in_a_row_are_kept_apart(fake_time):
    meter = Meter(fake_time)
    between = meter.between()
    between.take()
    fake_time.jump(0.1)
    _, _, seconds = between.take()
    assert seconds == pytest.approx(SHORTEST)
    assert meter.pauses[1] == pytest.approx(0.15)


def test_a_sample_that_is_too_old_is_not_compared_with(fake_time):
    meter = Meter(fake_time)
    between = meter.between(at_most=15.0)
    between.take()
    fake_time.jump(3600)
    _, _, seconds = between.take()
    assert seconds == pytest.approx(SHORTEST)


def test_a_clock_that_stands_still_divides_by_no_zero():
    _, _, seconds = Between(lambda: 1, clock=_Still(), pause=lambda _: None).take()
    assert seconds > 0


class _Still:
    def now(self):
        from vitald.clock import Instant

        return Instant(0.0, 0.0)


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [(1, 3, 2), (3, 3, 0), (3, 1, None), (None, 1, None), (1, None, None)],
)
def test_a_counter_that_shrank_was_started_again(before, after, grown):
    assert growth(before, after) == grown
    assert per_second(before, after, 2.0) == (None if grown is None else grown / 2)


@pytest.mark.parametrize(
    ("part", "whole", "percent"),
    [(1, 4, 25.0), (0, 4, 0.0), (1, 0, None), (None, 4, None), (1, None, None)],
)
def test_a_share_of_nothing_is_unknown(part, whole, percent):
    assert share(part, whole) == percent

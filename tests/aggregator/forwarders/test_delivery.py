from __future__ import annotations

import threading

import pytest

from vitald.aggregator.forwarders.delivery import (
    Unsent,
    each_off_loop,
    off_loop,
    seconds_of,
    timestamp_of,
)


def test_an_interval_is_filed_under_its_end_truncated(make):
    assert timestamp_of(make.interval(start=1690.0, end=1700.999)) == 1700


def test_rates_divide_by_the_true_length_and_never_by_nothing(make):
    assert seconds_of(make.interval(start=0.0, end=50.0, seconds=9.5)) == 9.5
    assert seconds_of(make.interval(seconds=0.0)) == 1.0


async def test_encoding_runs_in_a_thread_of_its_own_kind():
    assert (await off_loop(threading.current_thread)).name.startswith("encode")
    names = (threading.current_thread().name for _ in range(3))
    assert all([name.startswith("encode") async for name in each_off_loop(names)])


async def test_an_encoder_that_fails_says_so():
    with pytest.raises(ZeroDivisionError):
        [piece async for piece in each_off_loop(1 / number for number in (1, 0))]


async def test_what_is_left_of_an_interval_is_kept_for_its_next_attempt():
    unsent, first, second = Unsent(), object(), object()
    pieces = await unsent.of(first, lambda: [1, 2, 3])
    pieces.popleft()
    assert list(await unsent.of(first, lambda: [9])) == [2, 3]
    assert list(await unsent.of(second, lambda: [4])) == [4]


async def test_an_encoder_that_fails_leaves_nothing_behind():
    unsent, interval = Unsent(), object()
    with pytest.raises(ZeroDivisionError):
        await unsent.of(interval, lambda: 1 / 0)
    assert list(await unsent.of(interval, lambda: [1])) == [1]

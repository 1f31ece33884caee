"""Blocks end with their own beginnings, whatever context, thread or order they end in."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading

import pytest
from ticks import Ticks

from vitald.client.timing import open_spans


@pytest.fixture
def span():
    return Ticks()


async def test_tasks_that_share_a_span_do_not_mix_their_beginnings(span):
    gates = [asyncio.Event() for _ in range(3)]

    async def work(gate):
        async with span:
            await gate.wait()

    tasks = [asyncio.create_task(work(gate)) for gate in gates]
    await asyncio.sleep(0)
    for gate, task in zip(gates, tasks, strict=True):  # the first in is the first out
        gate.set()
        await task
    assert [start for start, _, _ in span.ended] == [1, 2, 3]


def test_threads_that_share_a_span_do_not_mix_their_beginnings(span):
    entered, leave = threading.Event(), threading.Event()

    def work():
        with span:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(10)
    with span:
        leave.set()
        thread.join()
    assert [start for start, _, _ in span.ended] == [1, 2]


def test_a_block_that_is_left_in_another_context_counts_from_its_last_beginning(span):
    contextvars.copy_context().run(span.__enter__)
    span.__exit__(None, None, None)
    assert span.ended == [(1, 2, None)]


def test_blocks_that_are_left_in_the_wrong_order_keep_their_own_beginnings():
    one, two = Ticks(), Ticks()
    two.now = 100
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    two.__exit__(None, None, None)
    assert (one.ended, two.ended) == ([(1, 2, None)], [(101, 102, None)])


def block_in_steps(span):
    with span:
        yield


def depth():
    found, one = 0, open_spans.get()
    while one is not None:
        found, one = found + 1, one[2]
    return found


def test_generators_that_take_turns_keep_their_own_beginnings(span):
    steps = [block_in_steps(span) for _ in range(3)]
    for one in steps:
        next(one)
    for one in steps:  # the first in is the first out
        next(one, None)
    assert span.ended == [(1, 4, None), (2, 5, None), (3, 6, None)]
    assert span._free == [None]


def test_a_generator_whose_steps_run_in_different_contexts_keeps_its_beginning(span):
    """As frameworks run a generator that provides a dependency."""
    steps = [block_in_steps(span) for _ in range(3)]
    for one in steps:
        contextvars.copy_context().run(next, one)
    for one in steps:
        contextvars.copy_context().run(next, one, None)
    assert [start for start, _, _ in span.ended] == [1, 2, 3]


async def test_stacks_of_tasks_keep_the_beginnings_of_their_contexts(span):
    gates = [asyncio.Event() for _ in range(3)]

    async def work(gate):
        with contextlib.ExitStack() as stack:
            stack.enter_context(span)
            await gate.wait()

    tasks = [asyncio.create_task(work(gate)) for gate in gates]
    await asyncio.sleep(0)
    for gate, task in zip(gates, tasks, strict=True):
        gate.set()
        await task
    assert [start for start, _, _ in span.ended] == [1, 2, 3]


def test_blocks_that_end_in_other_contexts_do_not_pile_up(span):
    with span:
        for _ in range(1000):
            steps = block_in_steps(span)
            next(steps)
            contextvars.copy_context().run(next, steps, None)
        assert depth() <= 1
    assert len(span.ended) == 1001
    assert span._blocks == []


def test_blocks_that_overlap_for_ever_do_not_pile_up(span):
    with span:
        last = block_in_steps(span)
        next(last)
        for _ in range(1000):
            following = block_in_steps(span)
            next(following)
            contextvars.copy_context().run(next, last, None)
            last = following
        assert depth() <= 16
        last.close()
    assert len(span.ended) == 1002


def test_a_span_that_is_free_holds_no_frame(span):
    with span, span:
        pass
    assert (span._frame, span._blocks, open_spans.get()) == (None, [], None)


def test_an_end_without_a_beginning_is_counted_and_records_no_duration(client, udp):
    timer = client.timer("render")
    timer.__exit__(None, None, None)
    with timer:
        pass
    timer.__exit__(None, None, None)
    client.flush()
    assert len(udp.totals().values("render")) == 1
    assert client.stats()["dropped"] == {"bad_value": 2}


def test_a_block_inside_itself_keeps_its_beginning_and_frees_the_slot_at_the_end(span):
    for _ in range(2):
        with span, span:
            assert span._free == []
        assert span._free == [None]
    assert span.ended == [(2, 3, None), (1, 4, None), (6, 7, None), (5, 8, None)]


def test_many_spans_left_in_any_order_keep_their_own_beginnings():
    spans = [Ticks() for _ in range(4)]
    for number, one in enumerate(spans):
        one.now = 100 * number
    entered = [*spans, *spans]
    for one in entered:
        one.__enter__()
    for one in (*spans[::-1], *spans):
        one.__exit__(None, None, None)
    for number, one in enumerate(spans):
        assert one.ended == [
            (100 * number + 2, 100 * number + 3, None),
            (100 * number + 1, 100 * number + 4, None),
        ]
        assert one._free == [None]


async def test_tasks_that_start_inside_a_block_have_their_own(span):
    gate = asyncio.Event()

    async def work():
        with span:
            await gate.wait()

    with span:
        tasks = [asyncio.create_task(work()) for _ in range(2)]
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert sorted(start for start, _, _ in span.ended) == [1, 2, 3]


def test_threads_that_use_one_timer_all_measure_themselves(client, udp):
    timer = client.timer("render")

    def work():
        for _ in range(2000):
            with timer:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert timer._free == [None]
    assert client.flush(timeout=20)
    samples = udp.totals().values("render")
    assert len(samples) == 8000
    assert min(samples) >= 0

"""Spans measure whatever can be called, from its beginning to its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools

import pytest
from ticks import Ticks

from vitald.client import handles


@pytest.fixture
def span():
    return Ticks()


def test_a_function_is_measured_and_keeps_its_result_name_and_signature(span):
    @span
    def add(one, two=2):
        """Add."""
        return one + two

    assert add(1) == 3
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert list(inspect.signature(add).parameters) == ["one", "two"]
    assert span.ended == [(1, 2, None)]


def test_an_exception_passes_through_and_is_seen(span):
    @span
    def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(ValueError, match="y"), span:
        raise ValueError("y")
    assert span.ended == [(1, 2, "KeyError"), (3, 4, "ValueError")]


def test_recursion_and_nesting_have_their_own_beginnings(span):
    @span
    def down(depth):
        return down(depth - 1) if depth else 0

    down(2)
    assert span.ended == [(3, 4, None), (2, 5, None), (1, 6, None)]
    with span, span:
        pass
    assert span.ended[3:] == [(8, 9, None), (7, 10, None)]


async def test_a_coroutine_is_measured_until_it_returns(span):
    @span
    async def work():
        span.now += 10
        await asyncio.sleep(0)
        span.now += 10
        return "done"

    assert inspect.iscoroutinefunction(work)
    assert await work() == "done"
    assert span.ended == [(1, 22, None)]


async def test_a_cancelled_coroutine_is_measured(span):
    @span
    async def work():
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert span.ended == [(1, 2, "CancelledError")]


def test_a_generator_is_measured_from_its_first_step_to_its_end(span):
    @span
    def count(limit):
        total = 0
        for index in range(limit):
            span.now += 10
            total += (yield index) or 0
        return total

    steps = count(3)
    span.now = 50
    assert inspect.isgeneratorfunction(count)
    assert next(steps) == 0
    assert steps.send(5) == 1
    assert steps.send(6) == 2
    with pytest.raises(StopIteration) as stopped:
        steps.send(7)
    assert stopped.value.value == 18
    assert span.ended == [(51, 82, None)]


def test_a_generator_that_is_closed_or_thrown_into_is_measured(span):
    @span
    def forever():
        while True:
            with contextlib.suppress(KeyError):
                yield 1

    steps = forever()
    next(steps)
    assert steps.throw(KeyError("caught inside")) == 1
    steps.close()
    steps = forever()
    next(steps)
    with pytest.raises(ValueError, match="out"):
        steps.throw(ValueError("out"))
    assert [error for _, _, error in span.ended] == ["GeneratorExit", "ValueError"]


async def test_an_async_generator_is_measured_to_its_end_and_passes_everything_on(span):
    seen = []

    @span
    async def echo():
        value = None
        while value != "stop":
            try:
                value = yield value
                seen.append(value)
            except KeyError:
                value = "caught"
            await asyncio.sleep(0)

    assert inspect.isasyncgenfunction(echo)
    steps = echo()
    assert await steps.__anext__() is None
    assert await steps.asend("a") == "a"
    assert await steps.athrow(KeyError("x")) == "caught"
    with pytest.raises(StopAsyncIteration):
        await steps.asend("stop")
    assert seen == ["a", "stop"]
    assert span.ended == [(1, 2, None)]


async def test_an_async_generator_that_is_closed_early_closes_the_inner_one(span):
    closed = []

    @span
    async def numbers():
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async with contextlib.aclosing(numbers()) as steps:
        async for number in steps:
            if number == 3:
                break
    assert closed == [True]
    assert span.ended == [(1, 2, "GeneratorExit")]


async def test_an_async_generator_that_fails_is_measured(span):
    @span
    async def fail():
        yield 1
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        assert [number async for number in fail()] == [1]
    assert span.ended == [(1, 2, "ValueError")]


async def test_partials_methods_and_callable_objects_are_measured(span):
    async def work(value):
        return value

    class Job:
        def __call__(self, value):
            return value

        @span
        def method(self, value):
            return value

    class AsyncJob:
        async def __call__(self, value):
            span.now += 10
            return value

    assert await span(functools.partial(work, 1))() == 1
    assert span(Job())(2) == 2
    assert await span(AsyncJob())(3) == 3
    assert Job().method(4) == 4
    assert span(len)([1]) == 1
    assert [stop - start for start, stop, _ in span.ended] == [1, 1, 11, 1, 1]


def test_class_and_static_methods_are_measured_in_either_order(span):
    class Job:
        @span
        @classmethod
        def one(cls):
            return cls

        @classmethod
        @span
        def two(cls):
            return cls

        @span
        @staticmethod
        def three(value):
            return value

    assert (Job.one(), Job().two(), Job.three(3)) == (Job, Job, 3)
    assert len(span.ended) == 3


def test_what_cannot_be_measured_is_refused_where_it_is_decorated(span):
    class Job:
        pass

    with pytest.raises(TypeError, match="cannot measure class Job: "):
        span(Job)
    with pytest.raises(TypeError, match="cannot measure a property: it cannot be called"):
        span(property(lambda self: 1))
    assert span.ended == []


def test_a_timer_records_milliseconds_with_nanosecond_digits(client, udp, monkeypatch):
    times = itertools.cycle([1_000_000, 13_345_679])
    monkeypatch.setattr("vitald.client.timing.perf_counter_ns", lambda: next(times))
    monkeypatch.setattr(handles, "perf_counter_ns", lambda: next(times))
    timer = client.timer("render", view="home")
    with timer as running:
        pass
    assert running.ms == 12.345679
    timer(lambda: None)()
    client.flush()
    assert udp.lines() == ["render:12.345679:12.345679|ms|#view:home"]


async def test_a_timer_works_as_the_contract_shows(client, udp):
    with client.timer("block"):
        pass
    async with client.timer("async.block"):
        pass

    @client.timer("function")
    def function():
        return 1

    @client.timer("coroutine")
    async def coroutine():
        return 2

    @client.timer("generator")
    def generator():
        yield 3

    @client.timer("async.generator")
    async def async_generator():
        yield 4

    assert function() == 1
    assert await coroutine() == 2
    assert list(generator()) == [3]
    assert [number async for number in async_generator()] == [4]
    client.flush()
    totals = udp.totals()
    assert {name: len(samples) for name, samples in totals.samples.items()} == dict.fromkeys(
        ["block", "async.block", "function", "coroutine", "generator", "async.generator"], 1
    )

"""The eight operation metrics, by their names and tags in the contract."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress

import pytest

from vitald.client import operations as operations_module
from vitald.client.operations import Operations


@pytest.fixture
def operations(client):
    return Operations(client)


@pytest.fixture
def counters(client, udp):
    def read():
        assert client.flush()
        return {name: int(value) for name, value in udp.totals().counters.items()}

    return read


def test_a_task_is_created_and_completed_and_its_duration_is_in_seconds(
    operations, client, udp, monkeypatch
):
    times = iter([1_000_000_000, 3_500_000_000])
    monkeypatch.setattr(operations_module, "perf_counter_ns", lambda: next(times))
    with operations.task("send_mail"):
        pass
    client.flush()
    assert sorted(udp.lines()) == [
        "task_duration_seconds:2.5|d|#task:send_mail",
        "tasks_completed_total:1|c|#task:send_mail",
        "tasks_created_total:1|c|#task:send_mail",
    ]


OUTCOMES = [
    (ValueError, "failed"),
    (asyncio.TimeoutError, "failed"),
    (asyncio.CancelledError, "cancelled"),
    (KeyboardInterrupt, "cancelled"),
    (GeneratorExit, "cancelled"),
    (SystemExit, "cancelled"),
]


@pytest.mark.parametrize(("error", "outcome"), OUTCOMES, ids=str)
def test_a_task_that_ends_in_an_error_has_one_outcome(operations, counters, udp, error, outcome):
    with pytest.raises(error), operations.task("send_mail"):
        raise error
    assert counters() == {
        "tasks_created_total#task:send_mail": 1,
        f"tasks_{outcome}_total#task:send_mail": 1,
    }
    assert len(udp.totals().samples["task_duration_seconds#task:send_mail"]) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([asyncio.CancelledError()], "cancelled"),
        ([asyncio.CancelledError(), ValueError()], "failed"),
        ([ValueError()], "failed"),
    ],
)
def test_a_group_is_a_failure_when_it_holds_one(operations, counters, errors, outcome):
    group = BaseExceptionGroup("several", errors)  # noqa: F821  Python 3.11
    with pytest.raises(BaseException, match="several"), operations.task("send_mail"):
        raise group
    assert counters()[f"tasks_{outcome}_total#task:send_mail"] == 1


async def test_a_cancelled_asyncio_task_is_cancelled(operations, counters):
    @operations.task("send_mail")
    async def work():
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert counters() == {
        "tasks_created_total#task:send_mail": 1,
        "tasks_cancelled_total#task:send_mail": 1,
    }


async def test_tasks_hooks_and_locks_are_blocks_async_blocks_and_decorators(operations, counters):
    async with operations.task("a"), operations.hook("h"), operations.lock("l"):
        pass
    with operations.task("a"), operations.hook("h"), operations.lock("l"):
        pass

    @operations.task("a")
    @operations.hook("h")
    @operations.lock("l")
    async def coroutine():
        pass

    @operations.task("a")
    @operations.hook("h")
    @operations.lock("l")
    def generator():
        yield from range(3)

    await coroutine()
    assert list(generator()) == [0, 1, 2]
    assert counters() == {
        "tasks_created_total#task:a": 4,
        "tasks_completed_total#task:a": 4,
        "hooks_executed_total#hook:h": 4,
        "locks_acquired_total#lock:l": 4,
        "locks_released_total#lock:l": 4,
    }


def test_a_generator_that_nobody_exhausts_is_cancelled(operations, counters):
    @operations.task("page")
    def pages():
        yield 1
        yield 2

    steps = pages()
    next(steps)
    steps.close()
    assert counters()["tasks_cancelled_total#task:page"] == 1


def test_a_hook_that_fails_was_executed_and_a_lock_is_released(operations, counters):
    with pytest.raises(ValueError, match="x"), operations.hook("h"), operations.lock("l"):
        raise ValueError("x")
    assert counters() == {
        "hooks_executed_total#hook:h": 1,
        "locks_acquired_total#lock:l": 1,
        "locks_released_total#lock:l": 1,
    }


def test_a_lock_that_is_held_is_acquired_and_not_yet_released(operations, counters):
    with operations.lock("db"):
        assert counters() == {"locks_acquired_total#lock:db": 1}
    assert counters()["locks_released_total#lock:db"] == 1


def test_counts_of_threads_that_share_the_operations_add_up(operations, counters):
    mutex = threading.Lock()

    def work(number):
        for index in range(500):
            failing = suppress(ZeroDivisionError)
            with failing, operations.task("work"), mutex, operations.lock("mutex"):
                1 / (index % 5 - number)  # fails every fifth time

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters() == {
        "tasks_created_total#task:work": 2000,
        "tasks_completed_total#task:work": 1600,
        "tasks_failed_total#task:work": 400,
        "locks_acquired_total#lock:mutex": 2000,
        "locks_released_total#lock:mutex": 2000,
    }


def test_names_made_up_at_run_time_do_not_pile_up(operations, counters, monkeypatch):
    monkeypatch.setattr(operations_module, "_SPAN_LIMIT", 10)
    for number in range(100):
        with operations.hook(f"hook{number}"):
            pass
    assert len(operations._spans) <= 10
    assert counters() == {f"hooks_executed_total#hook:hook{number}": 1 for number in range(100)}


@pytest.mark.parametrize("name", [None, [], 5])
def test_a_name_of_another_type_raises_nothing(operations, counters, name):
    with operations.task(name):
        pass
    assert counters()[f"tasks_completed_total#task:{name}"] == 1

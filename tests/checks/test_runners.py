from __future__ import annotations

import asyncio
import threading
import time

import pytest

from vitald.checks.runners import POOL_SIZE, LoopRunner, Runners, ThreadRunner
from vitald.checks.spec import CheckSpec
from vitald.checks.supervisor import WorkerRunner
from vitald.checks.threads import DaemonPool
from vitald.status import Status

# Far above what a good check needs here, far below the patience of whoever runs the tests.
SHORT = 0.1


def spec(samples, name, isolation="thread", timeout=SHORT, type_="sample", **options):
    factory = f"{samples.__name__}:{name}"
    return CheckSpec(
        name.lower(), type_, factory, options, isolation, interval=60.0, timeout=timeout
    )


@pytest.fixture
async def runners():
    made = Runners()
    yield made
    made.close()


async def test_each_isolation_has_its_runner(samples, runners):
    kinds = {
        place: type(runners.runner(spec(samples, "Fine", place)))
        for place in ("loop", "thread", "process")
    }
    assert kinds == {"loop": LoopRunner, "thread": ThreadRunner, "process": WorkerRunner}


@pytest.mark.parametrize("place", ["loop", "thread", "process"])
@pytest.mark.parametrize("name", ["Fine", "FineLater"])
async def test_plain_functions_and_coroutines_run_everywhere(samples, runners, place, name):
    runner = runners.runner(spec(samples, name, place, timeout=10.0))
    outcome = await runner.run()
    assert (outcome.result.status, outcome.timed_out) == (Status.HEALTHY, False)
    assert 0 <= outcome.seconds < 10
    assert not runner.hung
    await runner.close()


@pytest.mark.parametrize("place", ["loop", "thread", "process"])
async def test_an_exception_is_a_failure_everywhere(samples, runners, place):
    runner = runners.runner(
        spec(samples, "Raises", place, timeout=10.0, error=ConnectionError("server has gone away"))
    )
    outcome = await runner.run()
    assert outcome.result.status is Status.CRITICAL
    assert outcome.result.message == "ConnectionError: server has gone away"
    await runner.close()


@pytest.mark.parametrize("place", ["loop", "thread", "process"])
async def test_the_check_object_is_kept_from_run_to_run(samples, runners, place):
    runner = runners.runner(spec(samples, "CountsItsRuns", place, timeout=10.0))
    messages = [(await runner.run()).result.message for _ in range(3)]
    assert [message.split(" in ")[0] for message in messages] == ["run 1", "run 2", "run 3"]
    assert len({message.split(" in ")[1] for message in messages}) == 1
    await runner.close()


async def test_a_coroutine_that_ignores_cancellation_is_left_behind_at_its_deadline(
    samples, runners, tmp_path, wait_until
):
    release = tmp_path / "release"
    runner = runners.runner(spec(samples, "RefusesCancellation", "loop", release=release))
    outcome = await runner.run()
    assert outcome.timed_out
    assert outcome.result.status is Status.CRITICAL
    assert outcome.result.message == "timed out after 0.1 s"
    assert SHORT <= outcome.seconds < 5
    await asyncio.sleep(0.03)
    assert runner.hung
    release.touch()
    await wait_until(lambda: not runner.hung)


async def test_a_coroutine_that_obeys_is_over_at_its_deadline(samples, runners):
    samples.SCRIPTS["slow"] = samples.Script()
    samples.SCRIPTS["slow"].gate = asyncio.Event()
    runner = runners.runner(spec(samples, "Scripted", "loop", script="slow"))
    assert (await runner.run()).timed_out
    await asyncio.sleep(0)
    assert not runner.hung


async def test_a_coroutine_that_cancels_itself_has_not_timed_out(samples, runners):
    runner = runners.runner(
        spec(samples, "Raises", "loop", timeout=5.0, error=asyncio.CancelledError())
    )
    outcome = await runner.run()
    assert (outcome.result.status, outcome.timed_out) == (Status.UNKNOWN, False)


async def test_a_hung_thread_is_left_behind_at_its_deadline(samples, runners, wait_until):
    runner = runners.runner(spec(samples, "HangsInThread"))
    outcome = await runner.run()
    assert outcome.timed_out
    assert outcome.result.message == "timed out after 0.1 s"
    assert runner.hung
    samples.HELD.set()
    await wait_until(lambda: not runner.hung)
    assert (await runner.run()).result.status is Status.HEALTHY


async def test_hung_threads_of_one_type_take_no_thread_from_another_type(samples, runners):
    hung = [runners.runner(spec(samples, "HangsInThread", type_="disk")) for _ in range(POOL_SIZE)]
    assert all(outcome.timed_out for outcome in await asyncio.gather(*(r.run() for r in hung)))
    other = await runners.runner(spec(samples, "Fine", timeout=10.0, type_="memory")).run()
    assert other.result.status is Status.HEALTHY
    same = runners.runner(spec(samples, "Fine", type_="disk"))
    outcome = await same.run()
    assert (outcome.result.status, outcome.timed_out) == (Status.UNKNOWN, False)
    assert outcome.result.message == "cannot start: all 8 threads of its type hang"
    assert not same.hung


async def test_a_run_that_found_no_thread_is_forgotten_and_the_next_one_works(
    samples, runners, wait_until
):
    pool = DaemonPool("one", 1)
    first = ThreadRunner(spec(samples, "HangsInThread"), pool)
    second = ThreadRunner(spec(samples, "CountsItsRuns"), pool)
    assert (await first.run()).timed_out
    assert (await second.run()).result.message.startswith("cannot start: ")
    samples.HELD.set()
    await wait_until(lambda: not first.hung)
    assert (await second.run()).result.message.startswith("run 1 ")
    pool.close()


def test_a_thread_that_returns_after_the_loop_is_gone_harms_nothing(samples):
    async def give_up():
        runners = Runners()
        assert (await runners.runner(spec(samples, "HangsInThread", timeout=0.02)).run()).timed_out
        runners.close()

    before = set(threading.enumerate())
    asyncio.run(give_up())
    samples.HELD.set()
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not set(threading.enumerate()) - before


async def test_a_cancelled_supervisor_leaves_no_task_behind(samples, runners):
    samples.SCRIPTS["slow"] = samples.Script()
    samples.SCRIPTS["slow"].gate = asyncio.Event()
    runner = runners.runner(spec(samples, "Scripted", "loop", timeout=30.0, script="slow"))
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await runner.close()
    assert not runner.hung
    assert samples.SCRIPTS["slow"].at_once == 0

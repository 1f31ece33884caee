"""Where checks run, each place with its own way to keep a deadline.

    loop     the task is cancelled
    thread   the thread is left behind
    process  the worker is killed (see `supervisor.py`)

Every `run` returns by its deadline, whatever the check does: the victim is never awaited. A run
that could not be ended keeps its runner `hung`, and the scheduler starts no other on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from vitald.checks.base import Result
from vitald.checks.look import Looker
from vitald.checks.outcome import Outcome, gave_up
from vitald.checks.supervisor import WorkerRunner
from vitald.checks.threads import DaemonPool, Job
from vitald.checks.wording import plural
from vitald.status import Status

if TYPE_CHECKING:
    from vitald.checks.base import Isolation
    from vitald.checks.outcome import Runner
    from vitald.checks.spec import CheckSpec

# One hung file system may cost its check type this many threads and no other type any.
POOL_SIZE = 8
# Workers that start at the same moment compete for the processor with what they are to measure.
STARTS_AT_ONCE = 4
# How long a cancelled task may take to clean up behind itself when the scheduler stops.
_CANCEL_SECONDS = 1.0


class LoopRunner:
    """Runs a coroutine on the sidecar's own loop."""

    def __init__(self, spec: CheckSpec) -> None:
        self._timeout = spec.timeout
        self._looker = Looker(spec.factory, spec.options)
        self._left_behind: asyncio.Task[Result] | None = None

    @property
    def hung(self) -> bool:
        return self._left_behind is not None and not self._left_behind.done()

    async def run(self) -> Outcome:
        started = time.perf_counter()
        task = asyncio.create_task(self._looker.look_here())
        try:
            await asyncio.wait({task}, timeout=self._timeout)
        finally:
            self._left_behind = task
            task.cancel()
        seconds = time.perf_counter() - started
        if task.cancelled():
            return Outcome(Result(Status.UNKNOWN, "the check cancelled itself"), seconds)
        if task.done():
            return Outcome(task.result(), seconds)
        return gave_up(self._timeout, seconds)

    async def close(self) -> None:
        if self._left_behind is not None:
            await asyncio.wait({self._left_behind}, timeout=_CANCEL_SECONDS)


class ThreadRunner:
    """Runs a blocking call in the pool of its check type."""

    def __init__(self, spec: CheckSpec, pool: DaemonPool) -> None:
        self._timeout = spec.timeout
        self._looker = Looker(spec.factory, spec.options)
        self._pool = pool
        self._left_behind: Job[tuple[Result, float]] | None = None

    @property
    def hung(self) -> bool:
        return self._left_behind is not None and not self._left_behind.done

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def tell() -> None:
            # The loop may be gone when a call returns after all; then nobody waits for it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

        started = time.perf_counter()
        job = self._pool.submit(self._timed_look, tell)
        waiting = asyncio.create_task(done.wait())
        try:
            await asyncio.wait({waiting}, timeout=self._timeout)
        finally:
            waiting.cancel()
            job.drop()
            self._left_behind = job
        if job.value is not None:
            return Outcome(*job.value)
        seconds = time.perf_counter() - started
        if not job.started:
            message = f"cannot start: all {plural(POOL_SIZE, 'thread')} of its type hang"
            return Outcome(Result(Status.UNKNOWN, message), seconds)
        return gave_up(self._timeout, seconds)

    async def close(self) -> None:
        """Do nothing: a job that waits was dropped with its run, and no thread can be ended."""

    def _timed_look(self) -> tuple[Result, float]:
        started = time.perf_counter()
        return self._looker.look(), time.perf_counter() - started


class Runners:
    """Makes the runner that a spec asks for; holds what runners share."""

    def __init__(self) -> None:
        self._pools: dict[str, DaemonPool] = {}
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)

    def runner(self, spec: CheckSpec) -> Runner:
        """Return a new runner for `spec`."""
        place: Isolation = spec.isolation
        if place == "loop":
            return LoopRunner(spec)
        if place == "process":
            return WorkerRunner(spec, self._starts)
        pool = self._pools.get(spec.type)
        if pool is None:
            pool = self._pools[spec.type] = DaemonPool(f"check-{spec.type}", POOL_SIZE)
        return ThreadRunner(spec, pool)

    def close(self) -> None:
        """Let idle threads end."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

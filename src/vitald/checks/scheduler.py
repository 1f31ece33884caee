"""Runs checks on time: one loop over a heap of slots, one supervised task per run.

Laws: a check never has two runs at once; a slot that cannot be used is counted, never queued; no
run is awaited past its deadline; slots do not drift; after a pause of the machine each check runs
once, not once per slot that went by.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from typing import TYPE_CHECKING, Any

from vitald.checks.base import Result
from vitald.checks.dependencies import dependency_faults
from vitald.checks.entry import Entry
from vitald.checks.outcome import Outcome
from vitald.checks.runners import Runners
from vitald.checks.wording import cause
from vitald.errors import ConfigError, UsageError
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from vitald.checks.base import CheckReport, Observation
    from vitald.checks.spec import CheckSpec
    from vitald.checks.state import Transition
    from vitald.clock import Clock, Instant

    Emit = Callable[[Sequence[Observation], Sequence[tuple[str, float]]], None]

# A fresh sidecar shows what it finds within this time, before any check's regular slot.
FIRST_RUNS_WITHIN = 1.0
# Slots move back by at most this share of the interval and this many seconds, so that sidecars
# started together do not stay in step with each other.
_JITTER_SHARE = 0.05
_JITTER_SECONDS = 1.0
# The wall clock ran ahead of the monotonic one by more than this: the machine was suspended (or
# its clock was set, which looks the same and does no harm).
_SUSPENDED_SECONDS = 5.0
# How often to look whether a check that has never run was given a verdict on its parent.
_PARENT_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


class Scheduler:
    """Owns all checks from `start` to `stop`.

    `emit(observations, durations)` takes gauges, and (check, seconds) pairs for the distribution
    `check_duration_seconds`. `on_transition(spec, transition)` hears of every reported change.
    Both are called on the event loop, and a fault in them stops nothing. `sleep` is replaced by
    tests that own the time.
    """

    def __init__(
        self,
        specs: Sequence[CheckSpec],
        *,
        clock: Clock,
        emit: Emit,
        on_transition: Callable[[CheckSpec, Transition], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        _refuse_faults(specs)
        self._clock = clock
        self._emit = emit
        self._on_transition = on_transition
        self._sleep = sleep
        self._jitter = jitter
        self._runners = Runners()
        self._entries = {spec.name: Entry(spec, self._runners.runner(spec)) for spec in specs}
        self._heap: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._loop: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._ahead = 0.0

    def start(self) -> None:
        """Start to run checks; needs a running event loop."""
        now = self._clock.now()
        self._ahead = now.wall - now.monotonic
        for entry in self._entries.values():
            self._begin(entry, now)
        self._loop = asyncio.create_task(self._schedule(), name="check scheduler")

    async def stop(self) -> list[str]:
        """End all runs and workers, in bounded time.

        Returns the names of checks with a run that could not be ended: a hung thread dies with
        the process, but a coroutine that refuses to be cancelled keeps `asyncio.run` waiting.
        """
        if self._loop is not None:
            await _cancel([self._loop])
            self._loop = None
        entries = list(self._entries.values())
        await self._close(entries)
        self._runners.close()
        return [entry.spec.name for entry in entries if entry.runner.hung]

    async def apply(self, specs: Sequence[CheckSpec]) -> list[str]:
        """Replace the checks; one whose spec is unchanged keeps its state, run and worker.

        Returns the names of those that were added, changed or removed. Raises `ConfigError`, and
        changes nothing, when their dependencies cannot work.
        """
        _refuse_faults(specs)
        before = self._entries
        kept = {spec.name for spec in specs if self._spec(spec.name) == spec}
        gone = [entry for name, entry in before.items() if name not in kept]
        for entry in gone:
            entry.removed = True
        self._entries = {
            spec.name: before[spec.name]
            if spec.name in kept
            else Entry(spec, self._runners.runner(spec))
            for spec in specs
        }
        if self._loop is not None:
            now = self._clock.now()
            for name in self._entries.keys() - kept:
                self._begin(self._entries[name], now)
        await self._close(gone)
        return sorted((before.keys() | self._entries.keys()) - kept)

    def reports(self) -> list[CheckReport]:
        """Return the state of every check, in the order of the configuration."""
        now = self._clock.now()
        self._expire(now)
        return [entry.report(now) for entry in self._entries.values()]

    async def run_now(self, name: str) -> CheckReport:
        """Run one check outside its slots, and even while a check that it depends on fails.

        A run that is under way is joined: there is never a second one.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise UsageError(f"cannot run check {name}: there is no check of this name")
        now = self._clock.now()
        if entry.running is None and not self._blocked(entry, now):
            self._launch(entry)
        if entry.running is not None:
            await asyncio.wait({entry.running})
        return entry.report(self._clock.now())

    async def _schedule(self) -> None:
        while True:
            self._changed.clear()
            now = self._clock.now()
            self._catch_up(now)
            self._expire(now)
            while self._heap and self._heap[0][0] <= now.monotonic:
                due, _, entry = heapq.heappop(self._heap)
                if not entry.removed and due == entry.due:
                    self._use_slot(entry, now)
            await self._wait_for_next(now)

    async def _wait_for_next(self, now: Instant) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._changed.wait())]
        if self._heap:
            waits.append(asyncio.ensure_future(self._sleep(self._heap[0][0] - now.monotonic)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(waits)

    def _begin(self, entry: Entry, now: Instant) -> None:
        entry.start(now.monotonic, FIRST_RUNS_WITHIN)
        self._push(entry)

    def _push(self, entry: Entry) -> None:
        heapq.heappush(self._heap, (entry.due, next(self._order), entry))
        self._changed.set()

    def _use_slot(self, entry: Entry, now: Instant) -> None:
        parents = [self._entries[name] for name in entry.spec.depends_on]
        if entry.state.result is None and any(parent.undecided for parent in parents):
            entry.due = now.monotonic + _PARENT_POLL_SECONDS
            self._push(entry)
            return
        most = min(_JITTER_SHARE * entry.spec.interval, _JITTER_SECONDS)
        entry.next_slot(now.monotonic, self._jitter() * most)
        self._push(entry)
        failing = next((parent for parent in parents if parent.failing), None)
        if entry.running is not None:
            entry.count("missed")
        elif failing is not None:
            entry.hold(failing.spec.name, now, settled=failing.failure_settled)
            self._tell_engine([entry.status_observation()], [])
        elif not self._blocked(entry, now):
            self._launch(entry)

    def _blocked(self, entry: Entry, now: Instant) -> bool:
        if not entry.runner.hung:
            return False
        self._tell_people(entry, entry.block(now))
        self._tell_engine([entry.status_observation()], [])
        return True

    def _launch(self, entry: Entry) -> None:
        entry.count("runs")
        entry.running = asyncio.create_task(self._run(entry), name=f"check {entry.spec.name}")

    async def _run(self, entry: Entry) -> None:
        try:
            outcome = await entry.runner.run()
        except Exception as error:  # a fault of ours must not end the check's life unseen
            log.exception("cannot run check %s", entry.spec.name)
            outcome = Outcome(Result(Status.UNKNOWN, f"cannot run: {cause(error)}"), 0.0)
        finally:
            entry.running = None
        if entry.removed:
            return
        self._tell_people(entry, entry.finish(outcome, self._clock.now()))
        observations = [*entry.observations(), entry.status_observation()]
        self._tell_engine(observations, [(entry.spec.name, outcome.seconds)])

    def _catch_up(self, now: Instant) -> None:
        """After a suspend, run every check once and soon: what they know is old."""
        ahead = now.wall - now.monotonic
        if ahead - self._ahead > _SUSPENDED_SECONDS:
            for entry in self._entries.values():
                if entry.due > now.monotonic + FIRST_RUNS_WITHIN:
                    self._begin(entry, now)
        self._ahead = ahead

    def _expire(self, now: Instant) -> None:
        for entry in self._entries.values():
            transition = entry.expire(now)
            if transition is not None:
                self._tell_people(entry, transition)
                self._tell_engine([entry.status_observation()], [])

    def _tell_people(self, entry: Entry, transition: Transition | None) -> None:
        if transition is None:
            return
        try:
            self._on_transition(entry.spec, transition)
        except Exception:
            log.exception("cannot report a transition of check %s", entry.spec.name)

    def _tell_engine(
        self, observations: Sequence[Observation], durations: Sequence[tuple[str, float]]
    ) -> None:
        try:
            self._emit(observations, durations)
        except Exception:
            log.exception("cannot emit the observations of a check")

    async def _close(self, entries: Sequence[Entry]) -> None:
        await _cancel([entry.running for entry in entries if entry.running is not None])
        await asyncio.gather(*(entry.runner.close() for entry in entries))

    def _spec(self, name: str) -> CheckSpec | None:
        entry = self._entries.get(name)
        return entry.spec if entry is not None else None


def _refuse_faults(specs: Sequence[CheckSpec]) -> None:
    faults = dependency_faults(specs)
    if faults:
        raise ConfigError(faults)


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel our own tasks, which all end at once when they are cancelled."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

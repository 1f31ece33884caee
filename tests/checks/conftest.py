from __future__ import annotations

import asyncio
import heapq
import itertools
import sys
import time
from pathlib import Path

import pytest
from check_bench import Bench

from vitald.clock import Instant

SAMPLES = Path(__file__).parent / "samples"


class FakeTime:
    """A clock and a `sleep` that stand still until `advance` moves them."""

    def __init__(self) -> None:
        self.monotonic = 5000.0
        self.wall = 1_700_000_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> Instant:
        return Instant(self.wall, self.monotonic)

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.monotonic + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time and letting all work settle in between."""
        until = self.monotonic + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._move(max(due, self.monotonic))
                future.set_result(None)
                await settle()
        self._move(until)
        await settle()

    def jump(self, seconds: float) -> None:
        """Let time pass without anybody being woken, as if the process had been stopped."""
        self._move(self.monotonic + seconds)

    def _move(self, monotonic: float) -> None:
        self.wall += monotonic - self.monotonic
        self.monotonic = monotonic


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(25):
        await asyncio.sleep(0)


async def until(condition, seconds: float = 10.0) -> None:
    """Wait for something that happens in a thread or another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


@pytest.fixture
def fake_time():
    return FakeTime()


@pytest.fixture
def wait_until():
    return until


@pytest.fixture
def samples(monkeypatch):
    """The module of sample checks, importable by name here and in workers."""
    monkeypatch.syspath_prepend(str(SAMPLES))
    import sample_checks

    sample_checks.SCRIPTS.clear()
    sample_checks.HELD.clear()
    yield sample_checks
    # Threads that a test left hanging are let go.
    sample_checks.HELD.set()
    sys.modules.pop("sample_checks", None)


@pytest.fixture
async def bench(samples, fake_time):
    bench = Bench(samples, fake_time)
    yield bench
    if bench.scheduler is not None:
        await bench.scheduler.stop()

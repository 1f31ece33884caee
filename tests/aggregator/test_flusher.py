from __future__ import annotations

import asyncio
import threading

import pytest

from vitald.aggregator.flusher import Flusher
from vitald.aggregator.python_engine import PythonEngine
from vitald.clock import Instant

INTERVAL = 10.0


class StopError(Exception):
    """Ends a flusher's run."""


class FakeTime:
    """A clock that moves when somebody sleeps; `script` holds extra moves, one a sleep."""

    def __init__(self, wall, script=(), sleeps=50):
        self.wall = wall
        self.monotonic = 1000.0
        self._script = list(script)
        self._left = sleeps

    def now(self):
        return Instant(self.wall, self.monotonic)

    async def sleep(self, seconds):
        assert seconds > 0
        if not self._left:
            raise StopError
        self._left -= 1
        late, jump = self._script.pop(0) if self._script else (0.0, 0.0)
        self.monotonic += seconds + late
        self.wall += seconds + late + jump


async def intervals(time):
    sealed = []
    flusher = Flusher(
        PythonEngine(time.now()), sealed.append, interval=INTERVAL, clock=time, sleep=time.sleep
    )
    with pytest.raises(StopError):
        await flusher.run()
    return sealed, flusher


async def test_intervals_end_at_multiples_of_the_interval():
    sealed, _ = await intervals(FakeTime(1003.7, sleeps=5))
    assert [each.end for each in sealed] == [1010, 1020, 1030, 1040, 1050]
    assert sealed[0].start == 1003.7


async def test_a_late_tick_carries_the_boundary_it_belongs_to():
    sealed, _ = await intervals(FakeTime(1000.0, script=[(0.3, 0), (0.2, 0)], sleeps=4))
    assert [each.end for each in sealed] == [1010, 1020, 1030, 1040]


async def test_an_early_wake_up_makes_no_sliver_of_a_slot():
    sealed, _ = await intervals(FakeTime(1000.0, script=[(-0.001, 0)], sleeps=5))
    assert [each.end for each in sealed] == [1010, 1020, 1030, 1040]
    assert min(each.seconds for each in sealed) > 9.9


@pytest.mark.parametrize("jump", [-7200.0, -3.0, 3.0, 7200.0, 86_404.0])
async def test_after_a_step_of_the_clock_intervals_are_aligned_again(jump):
    sealed, _ = await intervals(FakeTime(1000.0, script=[(0, 0), (0, jump)], sleeps=8))
    assert all(each.end % INTERVAL == 0 for each in sealed[3:])
    assert all(0 < each.seconds <= 2 * INTERVAL for each in sealed)


async def test_a_held_event_loop_shows_as_lag():
    _, flusher = await intervals(FakeTime(1000.0, script=[(0.4, 0)], sleeps=1))
    assert flusher.lag == pytest.approx(0.4)


async def test_the_last_flush_seals_a_shorter_interval():
    time = FakeTime(1000.0)
    sealed = []
    flusher = Flusher(PythonEngine(time.now()), sealed.append, interval=INTERVAL, clock=time)
    time.wall, time.monotonic = time.wall + 4, time.monotonic + 4
    assert await flusher.finish(20)
    assert [(each.start, each.end, each.seconds) for each in sealed] == [(1000, 1004, 4)]


class ThreadsafeEngine:
    """Seals nothing, and says who asked it to; `gate` holds a rotation until it is set."""

    threadsafe = True

    def __init__(self, error=None):
        self.gate = threading.Event()
        self.started = threading.Event()
        self.threads = []
        self.error = error

    def rotate(self, now):
        self.threads.append(threading.current_thread())
        self.started.set()
        assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return now.wall

    def tidy(self):
        return False


def threaded(engine, sleeps=1):
    sealed = []
    time = FakeTime(1003.7, sleeps=sleeps)
    flusher = Flusher(engine, sealed.append, interval=INTERVAL, clock=time, sleep=time.sleep)
    return flusher, sealed


async def test_a_threadsafe_engine_is_sealed_in_a_thread_and_the_loop_goes_on():
    engine = ThreadsafeEngine()
    flusher, sealed = threaded(engine, sleeps=2)
    running = asyncio.ensure_future(flusher.run())
    assert await asyncio.to_thread(engine.started.wait, 20)  # so the loop is not held
    assert sealed == []
    engine.gate.set()
    with pytest.raises(StopError):
        await running
    assert sealed == [1010, 1020]
    assert threading.main_thread() not in engine.threads


async def test_what_was_being_sealed_at_the_stop_is_delivered_first_and_once():
    engine = ThreadsafeEngine()
    flusher, sealed = threaded(engine)
    running = asyncio.ensure_future(flusher.run())
    assert await asyncio.to_thread(engine.started.wait, 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    engine.gate.set()
    assert await flusher.finish(20)
    assert sealed == [1010, 1010]
    assert len(engine.threads) == 2


async def test_a_rotation_that_fails_ends_the_run_and_not_the_last_flush():
    engine = ThreadsafeEngine(error=RuntimeError("broken"))
    engine.gate.set()
    flusher, sealed = threaded(engine)
    with pytest.raises(RuntimeError, match="broken"):
        await flusher.run()
    engine.error = None
    assert await flusher.finish(20)
    assert sealed == [1010]


async def test_a_rotation_that_hangs_is_not_waited_for_at_the_stop():
    engine = ThreadsafeEngine()
    flusher, sealed = threaded(engine)
    assert not await flusher.finish(0.01)
    assert not await flusher.finish(0.01)
    assert (sealed, len(engine.threads)) == ([], 1)
    engine.gate.set()
    assert await flusher.finish(20)
    assert sealed == [1003.7, 1003.7]


async def test_where_there_can_be_no_other_thread_the_loop_seals(monkeypatch, caplog):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    engine = ThreadsafeEngine()
    engine.gate.set()
    flusher, sealed = threaded(engine)
    with pytest.raises(StopError):
        await flusher.run()
    assert await flusher.finish(20)
    assert sealed == [1010, 1010]
    assert set(engine.threads) == {threading.main_thread()}
    assert "cannot seal in a thread: can't start new thread" in caplog.text

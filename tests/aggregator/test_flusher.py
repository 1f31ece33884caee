from __future__ import annotations

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


def test_flushing_at_once_seals_a_shorter_interval():
    time = FakeTime(1000.0)
    sealed = []
    flusher = Flusher(PythonEngine(time.now()), sealed.append, interval=INTERVAL, clock=time)
    time.wall, time.monotonic = time.wall + 4, time.monotonic + 4
    flusher.flush()
    assert [(each.start, each.end, each.seconds) for each in sealed] == [(1000, 1004, 4)]

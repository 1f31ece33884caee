"""The tick: seals an interval at every boundary of the wall clock and delivers it."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vitald.aggregator.engine import Engine
    from vitald.aggregator.interval import Interval
    from vitald.clock import Clock, Instant

log = logging.getLogger(__name__)

# A seal this close behind its boundary carries the boundary's label.
_SNAP = 0.5


class Flusher:
    """Calls `engine.rotate` at multiples of `interval` (seconds) and `deliver` with what it sealed.

    When the wall clock is stepped, the next boundary is counted from where it landed. `lag` is how
    late the last tick was, in seconds: how long the event loop was held.

    An engine that is safe for threads is sealed in one of its own: those of the default executor
    may all be held by checks that hang.
    """

    def __init__(
        self,
        engine: Engine,
        deliver: Callable[[Interval], None],
        *,
        interval: float,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._deliver = deliver
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        # What a thread is sealing, or has sealed and nobody has delivered yet.
        self._sealing: Future[Interval] | None = None
        self.lag = 0.0

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            boundary = self._next_boundary()
            # The event loop's timer may fire a moment early; a slot must not end before its
            # boundary, or a sliver of a slot would follow.
            while 0 < (left := boundary - self._clock.now().wall) <= self._interval:
                await self._sleep(left)
            self.lag = max(0.0, -left) if abs(left) < self._interval else 0.0
            await self._seal(boundary)
            for _ in iter(self._engine.tidy, False):
                await asyncio.sleep(0)

    async def finish(self, patience: float) -> bool:
        """Deliver what a cancelled `run` was sealing, then seal what is open and deliver that.

        Says whether each came to an end within `patience` seconds.
        """
        if self._sealing is not None and not await self._deliver_sealed(patience):
            return False
        return await self._seal(None, patience)

    async def _seal(self, boundary: float | None, patience: float | None = None) -> bool:
        """Seal now and deliver; say whether that came to an end within `patience` seconds."""
        now = self._now(boundary)
        sealing: Future[Interval] = Future()

        def rotate() -> None:
            try:
                sealing.set_result(self._engine.rotate(now))
            except BaseException as error:
                sealing.set_exception(error)

        if not (self._engine.threadsafe and _start(rotate)):
            rotate()
        self._sealing = sealing
        return await self._deliver_sealed(patience)

    async def _deliver_sealed(self, patience: float | None) -> bool:
        """Deliver what is being sealed, once; say whether it was sealed within `patience`."""
        sealing = self._sealing
        if sealing is None:
            return True
        if not sealing.done():
            done = asyncio.wrap_future(sealing)
            done.add_done_callback(lambda done: done.exception())  # raised below, if need be
            await asyncio.wait({done}, timeout=patience)
        if not sealing.done():
            return False
        self._sealing = None
        self._deliver(sealing.result())
        return True

    def _now(self, boundary: float | None) -> Instant:
        now = self._clock.now()
        if boundary is not None and 0 <= now.wall - boundary < _SNAP:
            now = now._replace(wall=boundary)
        return now

    def _next_boundary(self) -> float:
        now: Instant = self._clock.now()
        return (now.wall // self._interval + 1) * self._interval


def _start(rotate: Callable[[], None]) -> bool:
    """Run `rotate` in a thread of its own; say whether there could be one."""
    try:
        threading.Thread(target=rotate, name="vitald-rotate").start()
    except RuntimeError as error:
        log.warning("cannot seal in a thread: %s: the event loop waits meanwhile", error)
        return False
    return True

"""The dispatcher hands every sealed interval to every forwarder, each on its own lane."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from vitald.aggregator.forwarders.lane import CANCEL_GRACE, Lane, Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.aggregator.forwarders.base import Forwarder
    from vitald.aggregator.forwarders.lane import Sleep
    from vitald.aggregator.interval import Interval
    from vitald.clock import Clock


class Dispatcher:
    """Queueing, retrying and counting for all forwarders; used from one event loop.

    `sleep` is how lanes wait for time-outs, pauses and budgets.
    """

    def __init__(
        self, *, clock: Clock, sleep: Sleep = asyncio.sleep, random: Random | None = None
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._random = random or Random()
        self._lanes: dict[str, Lane] = {}

    def add(
        self,
        name: str,
        type_: str,
        forwarder: Forwarder,
        *,
        queue: int = Policy.queue,
        timeout: float = Policy.timeout,
        retry_initial: float = Policy.retry_initial,
        retry_max: float = Policy.retry_max,
        max_age: float = Policy.max_age,
    ) -> None:
        """Start a lane (see `Policy` for the numbers); `name` must be new."""
        if name in self._lanes:
            raise ValueError(f"cannot add forwarder {name}: the name is taken")
        policy = Policy(queue, timeout, retry_initial, retry_max, max_age)
        lane = Lane(
            name,
            type_,
            forwarder,
            policy,
            clock=self._clock,
            sleep=self._sleep,
            random=self._random,
        )
        self._lanes[name] = lane
        lane.start()

    def submit(self, interval: Interval) -> None:
        """Queue an interval on every lane, its corrections first; never blocks, never fails.

        Corrections are intervals that were sent before. A forwarder with `takes_corrections` False
        has a target that would add them to what it has, and gets none.
        """
        for lane in self._lanes.values():
            if getattr(lane.forwarder, "takes_corrections", True):
                for correction in interval.corrections:
                    lane.submit(correction)
            lane.submit(interval)

    async def remove(self, name: str, budget_seconds: float = 0.0) -> None:
        """Drain one lane within the budget and forget it; what is left is dropped."""
        lane = self._lanes.pop(name)
        await self._drain([lane], budget_seconds, "removed")

    async def stop(self, budget_seconds: float) -> None:
        """Deliver what can be delivered within the budget; the rest is dropped and counted."""
        await self._drain(list(self._lanes.values()), budget_seconds, "shutdown")

    def statistics(self) -> list[dict[str, object]]:
        """Return one entry per forwarder (see `Lane.statistics`)."""
        return [lane.statistics() for lane in self._lanes.values()]

    async def _drain(self, lanes: Sequence[Lane], budget: float, reason: str) -> None:
        for lane in lanes:
            lane.finish()
        await self._wait(lanes, budget)
        for lane in lanes:
            if lane.task is not None:
                lane.task.cancel()
        await self._wait(lanes, CANCEL_GRACE * 2)
        for lane in lanes:
            lane.abandon(reason)

    async def _wait(self, lanes: Sequence[Lane], seconds: float) -> None:
        """Wait until the lanes' tasks have ended, at most `seconds`."""
        tasks = [lane.task for lane in lanes if lane.task is not None and not lane.task.done()]
        if not tasks:
            return
        ended = asyncio.ensure_future(asyncio.wait(tasks))
        timer = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({ended, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            timer.cancel()

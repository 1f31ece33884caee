"""Time, injected: nothing in vitald calls `time.time()` but this file."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    """One moment on both axes.

    `wall` (Unix seconds) labels what people and backends see; `monotonic` (seconds from an
    arbitrary start) measures every duration, so that a step of the wall clock moves labels and
    never ages, rates or time-outs.
    """

    wall: float
    monotonic: float


class Clock(Protocol):
    """Source of the current instant."""

    def now(self) -> Instant:
        """Return the current instant."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Instant:
        return Instant(time.time(), time.monotonic())

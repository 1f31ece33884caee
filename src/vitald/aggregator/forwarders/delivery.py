"""What the forwarders share: an interval's time, encoding off the loop, and resuming."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

    from vitald.aggregator.interval import Interval
    from vitald.errors import ForwardError

T = TypeVar("T")

# Threads that only ever encode: the loop's default ones may all be waiting for a name server.
_ENCODERS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="encode")


def timestamp_of(interval: Interval) -> int:
    """Return the Unix second under which every target files an interval: its end, truncated.

    The end is what the reference server stamps. It is a property of the interval, never of the
    moment of sending, so that a retry lands on the same point.
    """
    return int(interval.end)


def seconds_of(interval: Interval) -> float:
    """Return the length to divide by for a rate; 1 where two rotations met in one moment."""
    return interval.seconds if interval.seconds > 0 else 1.0


async def off_loop(make: Callable[[], T]) -> T:
    """Call `make` in an encoding thread."""
    return await asyncio.get_running_loop().run_in_executor(_ENCODERS, make)


async def each_off_loop(pieces: Iterator[T]) -> AsyncGenerator[T, None]:
    """Yield from an encoder that runs in an encoding thread, a piece when it is asked for.

    So a million series are one batch in memory at a time, however slow the target is.
    """
    end = object()
    while (piece := await off_loop(lambda: next(pieces, end))) is not end:
        yield piece  # type: ignore[misc]


class Unsent(Generic[T]):
    """The pieces of one interval that a target has not taken yet.

    For targets where a piece sent twice counts twice: a retry of the same interval goes on where
    the last attempt ended, and an interval that is finished has no pieces left. `refusal` is what
    became of a piece that the target will never take, for whichever attempt is the last.
    """

    def __init__(self) -> None:
        self.refusal: ForwardError | None = None
        self._interval: Interval | None = None
        self._pieces: deque[T] = deque()

    async def of(self, interval: Interval, encode: Callable[[], Iterable[T]]) -> deque[T]:
        """Return the pieces that are left; the caller takes from the left what was delivered."""
        if interval is not self._interval:
            pieces = await off_loop(lambda: deque(encode()))
            self._interval, self._pieces, self.refusal = interval, pieces, None
        return self._pieces

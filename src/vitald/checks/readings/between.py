"""Counters only ever grow; what they say is in the difference of two samples."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

from vitald.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.clock import Clock

T = TypeVar("T")

# The kernel counts processor time in hundredths of a second: over less than this, a difference
# says more about when it was taken than about the machine.
SHORTEST = 0.25


class Between(Generic[T]):
    """Takes samples and pairs each with the one before it.

    `at_most` is the age in seconds at which an earlier sample is too old to compare with. Without
    an earlier sample, or with one that is too young, `take` pauses (it blocks) for `SHORTEST`
    seconds, so that the first answer is as true as the later ones.
    """

    def __init__(
        self,
        sample: Callable[[], T],
        *,
        at_most: float = float("inf"),
        clock: Clock | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sample = sample
        self._at_most = at_most
        self._clock = clock or SystemClock()
        self._pause = pause
        self._earlier: tuple[T, float] | None = None

    def take(self) -> tuple[T, T, float]:
        """Return the earlier sample, the present one and the seconds between them."""
        now = self._clock.now().monotonic
        if self._earlier is None or now - self._earlier[1] > self._at_most:
            self._earlier = (self._sample(), now)
        earlier, taken = self._earlier
        if now - taken < SHORTEST:
            self._pause(SHORTEST - (now - taken))
            now = self._clock.now().monotonic
        present = self._sample()
        self._earlier = (present, now)
        return earlier, present, max(now - taken, 1e-9)


def growth(before: float | None, after: float | None) -> float | None:
    """Return how much a counter grew, None when one is missing or it was started again."""
    if before is None or after is None or after < before:
        return None
    return after - before


def per_second(before: float | None, after: float | None, seconds: float) -> float | None:
    """Return how fast a counter grew."""
    grown = growth(before, after)
    return None if grown is None else grown / seconds


def share(part: float | None, whole: float | None) -> float | None:
    """Return `part` as a percentage of `whole`, None when there is no whole."""
    if part is None or whole is None or whole <= 0:
        return None
    return 100.0 * part / whole

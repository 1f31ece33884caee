"""One forwarder's lane: a bounded queue, one task that delivers from it, and the counts.

    submitted == sent + queued + sum(dropped), at every moment

`queued` includes the interval that is being delivered. Lanes share nothing, so that a target
that is slow or gone can neither delay nor double what another one gets.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitald.config.units import printable
from vitald.errors import ForwardError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from vitald.aggregator.forwarders.base import Forwarder
    from vitald.aggregator.interval import Interval
    from vitald.clock import Clock, Instant

    _Send = asyncio.Future[BaseException | None]
    Sleep = Callable[[float], Awaitable[Any]]

logger = logging.getLogger(__name__)

# A target that names a longer pause than this is asked again anyway.
LONGEST_RETRY_AFTER = 600.0
# How long a send may take to notice that it was cancelled.
CANCEL_GRACE = 1.0
_MESSAGE_LIMIT = 300


@dataclass(frozen=True)
class Policy:
    """What a lane does about a target that does not take an interval.

    `queue` is how many intervals may wait; times are in seconds. A pause starts at `retry_initial`
    and doubles up to `retry_max`; an interval that waited longer than `max_age` is expired.
    """

    queue: int = 60
    timeout: float = 10.0
    retry_initial: float = 1.0
    retry_max: float = 60.0
    max_age: float = 3600.0

    def pause(self, failures: int, error: BaseException, random: Random) -> float:
        """Return the seconds to wait after `failures` failures in a row.

        The random half keeps many sidecars from coming back in step after one outage.
        """
        longest = min(self.retry_max, self.retry_initial * 2.0 ** min(failures - 1, 30))
        asked = getattr(error, "retry_after", None) or 0.0
        return max(longest * random.uniform(0.5, 1.0), min(asked, LONGEST_RETRY_AFTER))


@dataclass(slots=True, eq=False)
class _Item:
    interval: Interval
    since: Instant
    send: _Send | None = None


class Lane:
    """Delivers intervals to one forwarder, oldest first, one at a time."""

    def __init__(
        self,
        name: str,
        type_: str,
        forwarder: Forwarder,
        policy: Policy,
        *,
        clock: Clock,
        sleep: Sleep,
        random: Random,
    ) -> None:
        self.name = name
        self.type = type_
        self.forwarder = forwarder
        self.policy = policy
        self.task: asyncio.Task[None] | None = None
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._waiting: deque[_Item] = deque()
        self._current: _Item | None = None
        self._send: _Send | None = None
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._is_stopping = False
        self._submitted = self._sent = self._retried = self._failures = 0
        self._dropped: Counter[str] = Counter()
        self._last_sent: float | None = None
        self._last_error: str | None = None
        self._last_error_time: float | None = None

    def start(self) -> None:
        """Start delivering; needs the running loop."""
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"forward {self.name}")

    def submit(self, interval: Interval) -> None:
        """Take an interval; a full queue drops its oldest one. Never blocks."""
        self._submitted += 1
        if self._is_stopping:
            self._drop("shutdown")
            return
        self._waiting.append(_Item(interval, self._clock.now()))
        self._trim()
        self._arrived.set()

    def finish(self) -> None:
        """Take no more, try again at once, and let the task end when the queue is empty."""
        self._is_stopping = True
        self._failures = min(self._failures, 1)
        self._arrived.set()
        self._hurry.set()

    def abandon(self, reason: str) -> None:
        """Drop everything that is left; the task must have ended."""
        item = self._current
        if item is not None and item.send is not None and _outcome(item.send) is None:
            # It arrived while it was being cancelled.
            self._current = None
            self._settle(item, None)
        left = len(self._waiting) + (self._current is not None)
        self._waiting.clear()
        self._current = None
        if left:
            self._drop(reason, left)
            logger.warning("forwarder %s: %d intervals dropped: %s", self.name, left, reason)

    def statistics(self) -> dict[str, object]:
        """Return the counts; times are Unix seconds, ages seconds, None where there is none."""
        oldest = self._current or (self._waiting[0] if self._waiting else None)
        age = None if oldest is None else self._clock.now().monotonic - oldest.since.monotonic
        return {
            "name": self.name,
            "type": self.type,
            "submitted": self._submitted,
            "sent": self._sent,
            "retried": self._retried,
            "queued": len(self._waiting) + (self._current is not None),
            "dropped": dict(self._dropped),
            "skipped": dict(getattr(self.forwarder, "skipped", {})),
            "consecutive_failures": self._failures,
            "last_error": self._last_error,
            "last_error_time": self._last_error_time,
            "last_sent": self._last_sent,
            "oldest_queued_age_seconds": age,
        }

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._is_stopping:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            item = self._waiting.popleft()
            if self._clock.now().monotonic - item.since.monotonic > self.policy.max_age:
                self._drop("expired")
                continue
            self._current = item
            error = await self._attempt(item)
            self._current = None
            self._settle(item, error)
            if self._failures and error is not None:
                await self._pause(self.policy.pause(self._failures, error, self._random))

    async def _attempt(self, item: _Item) -> BaseException | None:
        """Send once, within the time-out; return what went wrong."""
        if self._send is not None and not self._send.done():
            return ForwardError("cannot send: the send before it does not heed its cancellation")
        if item.send is not None:
            if _outcome(item.send) is None:
                return None  # It ended well after it had been given up.
            self._retried += 1
        send = asyncio.ensure_future(_contained(self.forwarder, item.interval))
        self._send = item.send = send
        try:
            await self._first_of(send, self.policy.timeout)
        finally:
            is_late = not send.done()
            if is_late:
                send.cancel()
                await self._first_of(send, CANCEL_GRACE)
        error = _outcome(send)
        if isinstance(error, asyncio.CancelledError):
            late = f"cannot send within {self.policy.timeout:g} s"
            return ForwardError(late if is_late else "cannot send: the forwarder cancelled itself")
        return error

    async def _first_of(self, task: _Send, seconds: float) -> None:
        timer: asyncio.Future[Any] = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    async def _pause(self, seconds: float) -> None:
        hurry: asyncio.Future[Any] = asyncio.ensure_future(self._hurry.wait())
        timer: asyncio.Future[Any] = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({hurry, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()
            timer.cancel()
            self._hurry.clear()

    def _settle(self, item: _Item, error: BaseException | None) -> None:
        now = self._clock.now()
        if error is None:
            if self._failures:
                logger.info("forwarder %s: delivers again", self.name)
            self._sent += 1
            self._failures = 0
            self._last_sent = now.wall
            return
        self._last_error = _shown(error)
        self._last_error_time = now.wall
        reason = reason_to_drop(error)
        if reason is not None:
            self._failures = 0
            self._drop(reason)
            logger.warning("forwarder %s: interval dropped: %s", self.name, self._last_error)
            return
        self._failures += 1
        if self._failures == 1:
            logger.warning("forwarder %s: will retry: %s", self.name, self._last_error)
        self._waiting.appendleft(item)
        self._trim()

    def _trim(self) -> None:
        while len(self._waiting) > self.policy.queue:
            self._waiting.popleft()
            self._drop("queue_full")

    def _drop(self, reason: str, count: int = 1) -> None:
        self._dropped[reason] += count


def reason_to_drop(error: BaseException) -> str | None:
    """Return why an interval is given up after `error`; None when a retry may help.

    A forwarder that raises something it has no word for is defective, and would raise it again for
    the same interval.
    """
    if isinstance(error, ForwardError):
        return None if error.retryable else "refused"
    if isinstance(error, (OSError, asyncio.TimeoutError)):
        return None
    return "error"


def _shown(error: BaseException) -> str:
    """Return an error's message, bounded and escaped: it may quote a remote server."""
    text = str(error) or type(error).__name__
    return printable(text if len(text) <= _MESSAGE_LIMIT else f"{text[:_MESSAGE_LIMIT]}…")


def _outcome(send: _Send) -> BaseException | None:
    """Return what a send came to: None is success, CancelledError also when it has not ended."""
    if not send.done() or send.cancelled():
        return asyncio.CancelledError()
    return send.exception() or send.result()


async def _contained(forwarder: Forwarder, interval: Interval) -> BaseException | None:
    """Send; whatever a third party's forwarder raises is returned, and goes no further."""
    try:
        await forwarder.send(interval)
    except (Exception, asyncio.CancelledError, SystemExit) as error:
        return error
    return None

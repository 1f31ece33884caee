"""A blocking call that must never hold the event loop, nor the end of the process."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.clock import Clock

T = TypeVar("T")


class Offloaded(Generic[T]):
    """Runs `call` in a thread of its own, one run at a time, and hands everyone its result.

    A result younger than `fresh` seconds is handed out again. A run that hangs (a file system that
    does not answer) costs one daemon thread and no more: while it lasts, callers wait `timeout`
    seconds and get `asyncio.TimeoutError`, and the process can still end.
    """

    def __init__(
        self, call: Callable[[], T], clock: Clock, *, timeout: float = 2.0, fresh: float = 1.0
    ) -> None:
        self._call = call
        self._clock = clock
        self._timeout = timeout
        self._fresh = fresh
        self._running: asyncio.Future[T] | None = None
        self._last: tuple[float, T] | None = None

    async def get(self) -> T:
        """Return a result, or raise what `call` raised."""
        if self._last is not None and self._clock.now().monotonic - self._last[0] < self._fresh:
            return self._last[1]
        if self._running is None:
            self._running = self._start()
        return await asyncio.wait_for(asyncio.shield(self._running), self._timeout)

    def _start(self) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            self._running = None
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
                future.exception()  # whoever waited may have given up
            else:
                self._last = (self._clock.now().monotonic, result)  # type: ignore[assignment]
                future.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, error = None, None
            try:
                result = self._call()
            except Exception as caught:
                error = caught
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:  # the loop was closed meanwhile; nobody waits
                return

        threading.Thread(target=run, name="vitald-performance", daemon=True).start()
        return future

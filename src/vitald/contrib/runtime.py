"""The interpreter: the lateness of an asyncio loop, the garbage collector, threads, the process.

asyncio_loop_lag_seconds                how much too late a timer of the loop ran
python_gc_collections_total{generation}
python_gc_pause_seconds{generation}     how long a collection stopped this process's Python
python_threads                          threads that `threading` knows
process_cpu_seconds_total               user and system time
process_resident_memory_bytes           Linux only, as the next
process_open_fds
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns, process_time
from typing import TYPE_CHECKING, Any

from vitald.client import Client

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable

# How often the loop's timer is due, in seconds. What blocks the loop for longer is always seen, and
# what blocks it for shorter as often as it happens to be in the way.
LAG_INTERVAL = 0.25

# How often the gauges are set, in seconds: the sidecar's own interval.
GAUGE_INTERVAL = 10.0

_FILES, _MEMORY = Path("/proc/self/fd"), Path("/proc/self/statm")


class LoopLag:
    """A chain of timers on one loop, each recording how late it ran."""

    def __init__(
        self, loop: AbstractEventLoop, record: Callable[[float], None], interval: float
    ) -> None:
        self._loop, self._record, self._interval = loop, record, interval
        self._due = 0.0
        self._is_stopped = False
        self._timer: TimerHandle | None = None
        loop.call_soon_threadsafe(self._arm)

    def stop(self) -> None:
        """End the chain; from any thread, and when the loop is closed already."""
        self._is_stopped = True
        with suppress(RuntimeError):  # closed, and its timers are gone with it
            self._loop.call_soon_threadsafe(self._cancel)

    def _arm(self) -> None:
        if not self._is_stopped:
            self._due = self._loop.time() + self._interval
            self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        # A loop runs what is due within its clock's resolution, so a little early.
        self._record(max(0.0, self._loop.time() - self._due))
        self._arm()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Collections:
    """Counts and times garbage collections; the callback of the collector only records."""

    def __init__(self, client: Client) -> None:
        generations = range(len(gc.get_threshold()))
        self._count = [
            client.counter("python_gc_collections_total", generation=n).inc for n in generations
        ]
        self._record = [
            client.distribution("python_gc_pause_seconds", generation=n).record for n in generations
        ]
        self._started = 0
        gc.callbacks.append(self._on_collection)

    def stop(self) -> None:
        """Take the callback off the collector."""
        with suppress(ValueError):
            gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._started = perf_counter_ns()
        elif self._started:  # not in the midst of the first
            generation = info["generation"]
            self._record[generation]((perf_counter_ns() - self._started) / 1e9)
            self._count[generation]()


class Levels:
    """Sets the gauges of the process from a thread of its own, in forked children too."""

    def __init__(self, client: Client, interval: float) -> None:
        self._threads = client.gauge("python_threads").set
        self._cpu = client.counter("process_cpu_seconds_total").inc
        self._memory = client.gauge("process_resident_memory_bytes").set
        self._files = client.gauge("process_open_fds").set
        self._interval = interval
        self.start()
        _running.append(self)

    def start(self) -> None:
        """Start the thread; also in a forked child, where its parent's is gone."""
        self._used = process_time()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vitald-runtime", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        with suppress(ValueError):  # stopped already
            _running.remove(self)
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(1.0)

    def sample(self) -> None:
        """Set the gauges now."""
        self._threads(threading.active_count())
        used = process_time()
        self._cpu(used - self._used)
        self._used = used
        with suppress(OSError):  # no such files on other systems than Linux
            self._memory(_resident_bytes())
            self._files(len(list(_FILES.iterdir())) - 1)  # one was the listing's own

    def _run(self) -> None:
        is_stopping = self._stopping.wait
        while True:
            self.sample()
            if is_stopping(self._interval):
                return


class Watch:
    """What `watch_runtime` began; `stop` ends it."""

    def __init__(self, parts: list[Any]) -> None:
        self._parts = parts

    def stop(self) -> None:
        """Record nothing from now on."""
        for part in self._parts:
            part.stop()


def watch_runtime(
    client: Client | None = None,
    loop: AbstractEventLoop | None = None,
    *,
    lag_interval: float = LAG_INTERVAL,
    gauge_interval: float = GAUGE_INTERVAL,
) -> Watch:
    """Watch the interpreter until `stop()` is called on what this returns.

    The loop is `loop`, or the one that runs where this is called, or none. Without `client` one is
    made from the environment.
    """
    client = Client() if client is None else client
    parts: list[Any] = [Collections(client), Levels(client, gauge_interval)]
    loop = _running_loop() if loop is None else loop
    if loop is not None:
        lag = client.distribution("asyncio_loop_lag_seconds").record
        parts.append(LoopLag(loop, lag, lag_interval))
    return Watch(parts)


def _running_loop() -> AbstractEventLoop | None:
    # A program that has not imported asyncio runs no loop.
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.get_running_loop()  # type: ignore[no-any-return]
    except RuntimeError:
        return None


def _resident_bytes() -> int:
    return int(_MEMORY.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")


_running: list[Levels] = []


def _in_child() -> None:
    for levels in _running:
        with suppress(RuntimeError):  # no thread to be had: no gauges, but the child goes on
            levels.start()


os.register_at_fork(after_in_child=_in_child)

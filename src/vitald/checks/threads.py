"""A bounded pool of daemon threads, for blocking calls that may never return.

`concurrent.futures` joins its threads when the interpreter exits, so one `statvfs` on a dead NFS
server would keep the sidecar from ending. These threads are left behind instead.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Job(Generic[T]):
    """One call. `done` is set when it has returned, raised, or was dropped before it began."""

    def __init__(self, call: Callable[[], T], when_done: Callable[[], None]) -> None:
        self._call = call
        self._when_done = when_done
        self._lock = threading.Lock()
        self._state = "waiting"
        self.value: T | None = None
        self.error: BaseException | None = None

    @property
    def started(self) -> bool:
        """Tell whether a thread took it."""
        return self._state in {"running", "done"}

    @property
    def done(self) -> bool:
        """Tell whether its thread is free again, or was never taken."""
        return self._state in {"done", "dropped"}

    def drop(self) -> None:
        """Forget it when no thread took it yet; a call that runs cannot be stopped."""
        with self._lock:
            if self._state == "waiting":
                self._state = "dropped"

    def run(self) -> None:
        with self._lock:
            if self._state != "waiting":
                return
            self._state = "running"
        try:
            self.value = self._call()
        except BaseException as error:  # the thread must outlive whatever a check raises
            self.error = error
        self._state = "done"
        self._when_done()


class DaemonPool:
    """At most `size` threads, started when they are needed and kept."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._jobs: queue.SimpleQueue[Job[object] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0

    def submit(self, call: Callable[[], T], when_done: Callable[[], None]) -> Job[T]:
        """Queue a call; `when_done` is called in the pool's thread once it has ended."""
        job = Job(call, when_done)
        with self._lock:
            self._unfinished += 1
            if self._unfinished > self._threads and self._threads < self._size:
                self._threads += 1
                name = f"{self._name}-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        self._jobs.put(job)  # type: ignore[arg-type]
        return job

    def close(self) -> None:
        """Let the threads end that can. Returns at once."""
        for _ in range(self._size):
            self._jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            job.run()
            with self._lock:
                self._unfinished -= 1

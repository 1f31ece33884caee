"""The part of an event loop that an engine needs which does not read its sockets itself."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pump:
    """Calls readers when their descriptors are readable, on a thread that starts with the first.

    Readers run with `lock` held, and so must whatever else touches what they touch.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._loop: _Loop | None = None

    def add_reader(self, descriptor: int, read: Callable[[], object]) -> None:
        """Call `read` whenever there is something to be read."""
        if self._loop is None:
            self._loop = _Loop(self.lock)
        self._loop.selector.register(descriptor, selectors.EVENT_READ, read)

    def remove_reader(self, descriptor: int) -> None:
        """Leave a descriptor alone."""
        if self._loop is not None:
            self._loop.selector.unregister(descriptor)

    def close(self) -> None:
        """End the thread."""
        if self._loop is not None:
            self._loop.stop()


class _Loop:
    """The thread, and what it waits for."""

    def __init__(self, lock: threading.RLock) -> None:
        self.selector = selectors.DefaultSelector()
        self._lock = lock
        self._woken, self._waker = socket.socketpair()
        self.selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="vitald-sidecar", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._waker.close()
        self._thread.join()
        self._woken.close()
        self.selector.close()

    def _run(self) -> None:
        while True:
            ready = self.selector.select()
            with self._lock:
                for key, _ in ready:
                    if key.data is None:
                        return
                    # It may have been removed meanwhile.
                    if key.fd in self.selector.get_map():
                        key.data()

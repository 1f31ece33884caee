"""Starting, pinning and measuring the processes under test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 20.0


class BenchmarkError(Exception):
    """A benchmark cannot be run here, or its own checks say that its numbers would be wrong."""


class Process:
    """One process (and its children) under test; its output goes to `log`.

    `stdin` and `stdout` are descriptors for the process, if it is to have others.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        cpus: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> None:
        self._log = log
        self._name = Path(command[0]).name
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=stdin,
                stdout=output if stdout is None else stdout,
                stderr=output,
            )
        self._psutil = psutil.Process(self._popen.pid)
        if cpus:
            # Before it starts threads and children: they inherit this.
            os.sched_setaffinity(self._popen.pid, cpus)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()`; raises BenchmarkError when the process ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self._popen.poll() is not None or time.monotonic() > deadline:
                tail = self._log.read_text(errors="replace")[-2000:]
                raise BenchmarkError(f"cannot start {self._name}:\n{tail}")
            time.sleep(0.02)

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, of the process and its children so far."""
        total = 0.0
        for process in self._all():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def rss_bytes(self) -> int:
        """Return the resident memory of the process and its children."""
        total = 0
        for process in self._all():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def ask_to_report(self) -> None:
        """Send SIGUSR1."""
        self._popen.send_signal(signal.SIGUSR1)

    def suspend(self) -> None:
        """Send SIGSTOP."""
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT, which a process that runs does not notice."""
        self._popen.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process, by force when it does not go by itself."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(10)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        self._popen.wait()

    def _all(self) -> list[psutil.Process]:
        return [self._psutil, *self._psutil.children(recursive=True)]


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """Return a loopback port that nothing is bound to at this moment."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port

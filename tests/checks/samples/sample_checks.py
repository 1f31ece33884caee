"""Checks that behave well and badly, importable by a worker as well as by the tests."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from vitald.checks.base import Observation, Result
from vitald.status import Status

if TYPE_CHECKING:
    from pathlib import Path

FINE = Result(Status.HEALTHY, "fine")


class Script:
    """What a scripted check does next, and what it was seen doing."""

    def __init__(self) -> None:
        self.results: list[Result | Exception] = []
        self.runs = 0
        self.at_once = 0
        self.most_at_once = 0
        self.gate: asyncio.Event | None = None


SCRIPTS: dict[str, Script] = {}


class Scripted:
    """Runs on the loop; takes its results from `SCRIPTS[script]`, the last one again and again."""

    def __init__(self, script: str) -> None:
        self._script = SCRIPTS[script]

    async def run(self) -> Result:
        script = self._script
        script.runs += 1
        script.at_once += 1
        script.most_at_once = max(script.most_at_once, script.at_once)
        try:
            if script.gate is not None:
                await script.gate.wait()
        finally:
            script.at_once -= 1
        result = FINE
        if script.results:
            result = script.results.pop(0) if len(script.results) > 1 else script.results[0]
        if isinstance(result, Exception):
            raise result
        return result


class Fine:
    def __init__(self, message: str = "fine") -> None:
        self._message = message

    def run(self) -> Result:
        return Result(Status.HEALTHY, self._message, (Observation("answer", 42.0),))


class FineLater:
    """A coroutine in whatever place it runs."""

    async def run(self) -> Result:
        await asyncio.sleep(0)
        return FINE


class Raises:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def run(self) -> Result:
        raise self._error


class Returns:
    def __init__(self, value: object) -> None:
        self._value = value

    def run(self) -> object:
        return self._value


class Unbuildable:
    def __init__(self) -> None:
        raise ImportError("No module named 'driver'")


class BuildsAtTheSecondTry:
    def __init__(self, marker: Path) -> None:
        if not marker.exists():
            marker.touch()
            raise OSError("the driver is not ready")

    def run(self) -> Result:
        return FINE


class RefusesCancellation:
    """A driver that swallows every cancellation until `release` exists."""

    def __init__(self, release: Path) -> None:
        self._release = release

    async def run(self) -> Result:
        while not self._release.exists():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return FINE


HELD = threading.Event()


class HangsInThread:
    """Blocks its thread until `HELD` is set, as a `statvfs` on a dead NFS server would."""

    def run(self) -> Result:
        HELD.wait()
        return FINE


class HangsForever:
    """Ignores SIGTERM, holds the interpreter and never returns; says who it is first."""

    def __init__(self, pid_file: Path) -> None:
        self._pid_file = pid_file

    def run(self) -> Result:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self._pid_file.write_text(f"{os.getpid()} {child.pid}")
        # PyDLL calls keep the GIL: no other thread of this process runs from here on.
        ctypes.PyDLL(None).sleep(600)
        return FINE


class HangsOnce:
    """Hangs in its first run, in whichever process that is, and is fine afterwards."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def run(self) -> Result:
        if not self._marker.exists():
            self._marker.touch()
            time.sleep(600)
        return FINE


class Crashes:
    def __init__(self, how: str) -> None:
        self._how = how

    def run(self) -> Result:
        if self._how == "signal":
            os.kill(os.getpid(), signal.SIGSEGV)
        sys.stderr.write("the driver's last words\n")
        sys.stderr.flush()
        os._exit(3)


class CountsItsRuns:
    """Keeps state from run to run and tells its process."""

    def __init__(self) -> None:
        self._runs = 0

    def run(self) -> Result:
        self._runs += 1
        return Result(Status.HEALTHY, f"run {self._runs} in {os.getpid()}")


class Noisy:
    """Prints to, and reads from, the streams that the worker speaks on."""

    def run(self) -> Result:
        sys.stdout.write('{"run": 1, "status": 0}\n')
        sys.stdout.flush()
        os.write(1, b"garbage\n")
        read = sys.stdin.read()
        child = subprocess.run(["cat"], capture_output=True, text=True, check=True)
        return Result(Status.HEALTHY, f"read {read!r} and {child.stdout!r}")


class ListsItsSecrets:
    def __init__(self, password: object, url: object) -> None:
        self._password = password
        self._url = url

    def run(self) -> Result:
        told = f"{self._password.get_secret_value()} at {self._url.get_secret_value()}"
        raise ConnectionError(f"cannot log in with {told}\x1b[2J\nand more")


class WritesGarbage:
    """Finds the worker's own channel and writes rubbish on it."""

    def __init__(self, line: str) -> None:
        self._line = line

    def run(self) -> Result:
        for number in range(3, 20):
            with contextlib.suppress(OSError):
                os.write(number, self._line.encode() + b"\n")
        time.sleep(600)
        return FINE

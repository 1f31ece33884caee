"""The parent's side of a worker process: started when first needed, killed at its deadline."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitald.checks.base import Observation, Result
from vitald.checks.look import tidy
from vitald.checks.outcome import Outcome, gave_up
from vitald.checks.wording import cause, one_line
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from vitald.checks.spec import CheckSpec

# Starting Python and importing a driver is no part of what a check measures, so it has a budget of
# its own. A worker that needs longer is killed like any other.
START_SECONDS = 10.0
# How long to wait for a process that was killed, or that closed its channel, to be gone.
_POLLS = 400
_POLL_SECONDS = 0.005
_ANSWER_LIMIT = 1 << 20
_LAST_WORDS = 2000

# Isolated (-I): neither the working directory nor PYTHON* may put a module before the standard
# library's. The import path is the parent's own, read byte by byte to leave the rest in the pipe.
_BOOTSTRAP = (
    "import json,sys;sys.path[:]=json.loads(open(0,'rb',0,closefd=False).readline());"
    "from vitald.checks.worker import main;main()"
)


class WorkerError(Exception):
    """The worker gave no answer; the message says why."""


class WorkerLostError(WorkerError):
    """The worker was gone, or went, before it answered."""


class WorkerRunner:
    """Runs a check in a worker that is kept from run to run."""

    def __init__(self, spec: CheckSpec, starts: asyncio.Semaphore) -> None:
        self._spec = spec
        self._starts = starts
        self._worker: Worker | None = None
        self._killed: list[Worker] = []
        self._runs = 0

    @property
    def hung(self) -> bool:
        # A process in an uninterruptible call survives even SIGKILL until the call returns.
        self._killed = [worker for worker in self._killed if not worker.gone()]
        return bool(self._killed)

    async def run(self) -> Outcome:
        was_kept = self._worker is not None
        outcome = await self._run()
        if was_kept and self._worker is None and outcome.lost:
            # It may have died between two runs (a process that is being killed can look alive for
            # a moment), and that says nothing of what is checked. A new one tells.
            outcome = await self._run()
        return outcome

    async def _run(self) -> Outcome:
        started = time.perf_counter()
        try:
            worker = await self._ready()
            started = time.perf_counter()
            self._runs += 1
            answer = await _at_most(self._spec.timeout, worker.ask({"run": self._runs}))
            if answer is None:
                self._kill()
                return gave_up(self._spec.timeout, time.perf_counter() - started)
            return _outcome(answer, self._runs)
        except WorkerError as error:
            self._kill()
            seconds = time.perf_counter() - started
            lost = isinstance(error, WorkerLostError)
            return Outcome(Result(Status.UNKNOWN, one_line(str(error))), seconds, lost=lost)
        except asyncio.CancelledError:
            self._kill()
            raise

    async def close(self) -> None:
        self._kill()
        for _ in range(_POLLS):
            if not self.hung:
                break
            await asyncio.sleep(_POLL_SECONDS)

    async def _ready(self) -> Worker:
        """Return a worker that waits for work; start one when there is none (any more)."""
        if self._worker is not None and self._worker.gone():
            self._kill()
        if self._worker is None:
            async with self._starts:
                self._worker = await Worker.start(self._spec.name)
                hello = {"factory": self._spec.factory, "options": _pickled(self._spec.options)}
                if await _at_most(START_SECONDS, self._worker.ask(hello)) is None:
                    raise WorkerError(f"cannot start worker: not ready after {START_SECONDS:g} s")
        return self._worker

    def _kill(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._killed.append(self._worker)
            self._worker = None


class Worker:
    """One child process, the leader of its own process group."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        stderr: asyncio.StreamReader,
        stderr_writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._stderr_writer = stderr_writer
        self._last_words = b""
        self._listening = asyncio.create_task(self._listen(stderr))

    @classmethod
    async def start(cls, name: str) -> Worker:
        """Start a worker; `name` is for people who look at the process table."""
        ours, theirs = socket.socketpair()
        our_stderr, their_stderr = socket.socketpair()
        command = [sys.executable, "-I", "-c", _BOOTSTRAP, str(os.getpid()), f"check:{name}"]
        try:
            with theirs, their_stderr:
                process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own interpreter; not waited for
                    command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=their_stderr.fileno(),
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            our_stderr.close()
            raise WorkerError(f"cannot start worker: {cause(error)}") from error
        channel = await asyncio.open_connection(sock=ours, limit=_ANSWER_LIMIT)
        stderr = await asyncio.open_connection(sock=our_stderr)
        worker = cls(process, *channel, *stderr)
        worker._writer.write(json.dumps(_import_path()).encode() + b"\n")
        return worker

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one line and return the one that comes back."""
        try:
            self._writer.write(json.dumps(request).encode() + b"\n")
            line = await self._reader.readline()
        except (OSError, ValueError) as error:
            raise WorkerLostError(f"cannot ask worker: {cause(error)}") from error
        if not line.endswith(b"\n"):
            raise WorkerLostError(await self._how_it_ended())
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise WorkerError("cannot read the worker's answer: it is no JSON") from error
        if not isinstance(answer, dict):
            raise WorkerError("cannot read the worker's answer: it is no object")
        return answer

    def gone(self) -> bool:
        """Tell whether the process has ended; reaps it when it has."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kill the process and all that it started. Returns at once."""
        if not self.gone():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._listening.cancel()
        self._writer.transport.abort()
        self._stderr_writer.transport.abort()

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await stderr.read(4096):
                self._last_words = (self._last_words + data)[-_LAST_WORDS:]

    async def _how_it_ended(self) -> str:
        await asyncio.wait({self._listening}, timeout=_POLLS * _POLL_SECONDS)
        for _ in range(_POLLS):
            # The kernel closes a process' files a moment before it can be reaped.
            if self.gone():
                break
            await asyncio.sleep(_POLL_SECONDS)
        code = self._process.returncode
        how = "closed its channel"
        if code is not None:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        words = self._last_words.decode(errors="replace").strip().splitlines()
        return f"worker {how}: {words[-1]}" if words else f"worker {how}"


def _pickled(options: Mapping[str, Any]) -> str:
    try:
        return base64.b64encode(pickle.dumps(dict(options))).decode()
    except Exception as error:  # whatever an option's own __reduce__ raises
        raise WorkerError(f"cannot send options to worker: {cause(error)}") from error


def _import_path() -> list[str]:
    return [str(Path(entry).absolute()) for entry in sys.path if entry]


async def _at_most(seconds: float, work: Coroutine[Any, Any, dict[str, Any]]) -> Any:
    """Return what `work` returns, None when it takes longer. A late `work` is not waited for."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        return None
    return task.result()


def _outcome(answer: dict[str, Any], run: int) -> Outcome:
    """Read an answer; it comes from where third-party code runs, so nothing in it is trusted."""
    try:
        if answer["run"] != run:
            raise WorkerError("cannot read the worker's answer: it is to another question")
        observations = tuple(
            Observation(
                str(name),
                None if value is None else float(value),
                tuple((str(key), str(text)) for key, text in tags),
            )
            for name, value, tags in answer["observations"]
        )
        result = Result(Status(answer["status"]), str(answer["message"]), observations)
        return Outcome(tidy(result, ()), float(answer["seconds"]))
    except KeyError as error:
        raise WorkerError(f"cannot read the worker's answer: it has no {error}") from error
    except (TypeError, ValueError) as error:
        raise WorkerError(f"cannot read the worker's answer: {cause(error)}") from error

"""Run one program to its end, or to ours: own process group, bounded output, bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from typing import Any

# How long a group has after SIGTERM (at most) and after SIGKILL, and its pipes after its end.
GRACE = 0.2
DRAIN = 0.5
# A program that floods its output beyond this is no longer read: it blocks until its time is up,
# instead of keeping the event loop busy.
FLOOD = 16 * 1024 * 1024
_POLL_FIRST = 0.001
_POLL_MOST = 0.02

# Work that outlives a cancelled run; the event loop holds its tasks only weakly.
_background: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended.

    `exit_code` is None when it did not end in time and was stopped, negative when a signal ended
    it. `stdout` and `stderr` hold at most `limit` bytes each; the rest was read and dropped.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes


async def run(
    argv: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str],
    limit: int,
    directory: str = "/",
    stdin: bytes = b"",
    grace: float = GRACE,
) -> Finished:
    """Run `argv` without a shell and return how it ended, at most `timeout` + 1 seconds later.

    Nothing is left of its process group then: a group that runs too long gets SIGTERM and `grace`
    seconds to end, and what is left of any group gets SIGKILL. Raises OSError when the program
    cannot be started, or when its exit code was lost because this process ignores SIGCHLD.
    """
    with _input(stdin) as source:
        child = _Child(
            subprocess.Popen(  # noqa: ASYNC220, S603
                list(argv),
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
            ),
            grace,
        )
    try:
        return await _supervise(child, timeout, limit)
    except BaseException:
        # Cancelled: the caller is not kept waiting; the group still gets SIGTERM, then SIGKILL.
        _in_background(child.stop())
        raise


async def _supervise(child: _Child, timeout: float, limit: int) -> Finished:
    captures = [await _Capture.attach(pipe, limit) for pipe in child.pipes]
    try:
        in_time = await child.ended_within(timeout)
        await child.stop()
        await asyncio.wait({capture.closed for capture in captures}, timeout=DRAIN)
    finally:
        for capture in captures:
            capture.abandon()
    out, err = (bytes(capture.data) for capture in captures)
    return Finished(child.exit_code() if in_time else None, out, err)


class _Child:
    """A process group and its leader.

    asyncio's own subprocesses reap the leader as soon as it ends. Here it stays a zombie until
    its group has been killed: so long its number, which is the group's, cannot be a stranger's.
    """

    def __init__(self, process: subprocess.Popen[bytes], grace: float) -> None:
        self._process = process
        self._grace = grace
        self._state: os.waitid_result | None = None
        self._lost = False

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        out, err = self._process.stdout, self._process.stderr
        return cast("IO[bytes]", out), cast("IO[bytes]", err)

    def exit_code(self) -> int:
        if self._state is None:
            raise ChildProcessError("its exit code was lost: this process ignores SIGCHLD")
        exited = self._state.si_code == os.CLD_EXITED
        return self._state.si_status if exited else -self._state.si_status

    async def ended_within(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        pause = _POLL_FIRST
        while not self._ended():
            left = deadline - loop.time()
            if left <= 0:
                return False
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, _POLL_MOST)
        return True

    async def stop(self) -> None:
        """End the whole group and reap its leader."""
        try:
            if not self._ended():
                self._signal(signal.SIGTERM)
                await self.ended_within(self._grace)
        finally:
            self._signal(signal.SIGKILL)
        if await self.ended_within(GRACE):
            self._process.wait()
        else:
            # In an uninterruptible sleep: reaped when the kernel lets it go.
            _in_background(self._reap_later())

    async def _reap_later(self) -> None:
        while not self._ended():  # noqa: ASYNC110  no event tells of it
            await asyncio.sleep(1)
        self._process.wait()

    def _ended(self) -> bool:
        if self._state is None and not self._lost:
            try:
                self._state = os.waitid(
                    os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
                )
            except ChildProcessError:
                self._lost = True
        return self._state is not None or self._lost

    def _signal(self, number: signal.Signals) -> None:
        if self._lost or self._process.returncode is not None:
            return
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left, or only processes that changed their user


class _Capture(asyncio.Protocol):
    """Keep the first `limit` bytes of a pipe; read on, so that the writer is not blocked."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._limit = limit
        self._received = 0
        self._transport: asyncio.ReadTransport | None = None

    @classmethod
    async def attach(cls, pipe: IO[bytes], limit: int) -> _Capture:
        loop = asyncio.get_running_loop()
        transport, capture = await loop.connect_read_pipe(lambda: cls(limit), pipe)
        capture._transport = transport  # noqa: SLF001
        return capture

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        self.data += data[: self._limit - len(self.data)]
        if self._received > FLOOD and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.closed.done():
            self.closed.set_result(None)

    def abandon(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _in_background(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    _background.add(task)
    task.add_done_callback(_background.discard)


def _input(data: bytes) -> IO[bytes]:
    if not data:
        return open(os.devnull, "rb")  # noqa: PTH123
    file = os.fdopen(os.memfd_create("stdin"), "w+b")
    file.write(data)
    file.seek(0)
    return file

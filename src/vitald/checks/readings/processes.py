"""Processes: which ones match, and what each holds.

A process id alone names nothing, because the kernel gives it out again: with the start time beside
it, it does.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# A process writes its pid file after it started; clocks and file systems round by this much.
_ROUNDING_SECONDS = 2.0
_PID_FILE_LIMIT = 64


class ProcessSample(NamedTuple):
    """One process. `started` is in Unix seconds; what may not be read (another user's) is None."""

    pid: int
    started: float
    name: str
    rss_bytes: int
    cpu_seconds: float
    threads: int
    open_files: int | None
    open_files_limit: int | None

    @property
    def open_files_percent(self) -> float | None:
        """Return the used share of the files it may open."""
        if self.open_files is None or not self.open_files_limit:
            return None
        return 100.0 * self.open_files / self.open_files_limit


def sample_process(pid: int) -> ProcessSample | None:
    """Return what a process holds, None when there is no such process or it is a zombie."""
    try:
        return _sample(psutil.Process(pid))
    except psutil.Error:
        return None


def sample_matching(matches: Callable[[psutil.Process], bool]) -> list[ProcessSample]:
    """Return all running processes that match."""
    return list(_matching(matches))


def has_name(name: str) -> Callable[[psutil.Process], bool]:
    """Match the program's name exactly."""
    return lambda process: process.name() == name


def has_command(search: Callable[[str], object]) -> Callable[[psutil.Process], bool]:
    """Match where `search` finds something in the command line, its words joined by blanks."""
    return lambda process: bool(search(" ".join(process.cmdline())))


def sample_from_pid_file(path: Path) -> tuple[ProcessSample | None, str]:
    """Return the process that a pid file names, or None and why there is none.

    A process that started after the file was written is not the one that wrote it: the number was
    given out again.
    """
    try:
        written = path.stat().st_mtime
        with path.open("rb") as file:
            text = file.read(_PID_FILE_LIMIT)
    except FileNotFoundError:
        return None, f"there is no pid file {path}"
    number = text.split(maxsplit=1)[:1]
    if not number or not number[0].isdigit():
        return None, f"no process id in {path}"
    pid = int(number[0])
    found = sample_process(pid)
    if found is None:
        return None, f"process {pid} of {path} does not run"
    if found.started > written + _ROUNDING_SECONDS:
        return None, f"process {pid} of {path} is another one, started after the file was written"
    return found, ""


def cpu_percent(
    before: Sequence[ProcessSample], after: Sequence[ProcessSample], seconds: float
) -> float:
    """Return the processor time spent between two samples, 100 for one core.

    All that a process spent counts when it came in between; what one spent that is gone is lost.
    """
    earlier = {(process.pid, process.started): process.cpu_seconds for process in before}
    spent = sum(
        max(process.cpu_seconds - earlier.get((process.pid, process.started), 0.0), 0.0)
        for process in after
    )
    return 100.0 * spent / seconds


def _matching(matches: Callable[[psutil.Process], bool]) -> Iterator[ProcessSample]:
    for pid in psutil.pids():
        # It may end meanwhile, or be none of our business.
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            sample = _sample(process) if matches(process) else None
            if sample is not None:
                yield sample


def _sample(process: psutil.Process) -> ProcessSample | None:
    with process.oneshot():
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        times = process.cpu_times()
        return ProcessSample(
            pid=process.pid,
            started=process.create_time(),
            name=process.name(),
            rss_bytes=process.memory_info().rss,
            cpu_seconds=times.user + times.system,
            threads=process.num_threads(),
            open_files=_unless_denied(process.num_fds),
            open_files_limit=_unless_denied(lambda: _files_limit(process)),
        )


def _files_limit(process: psutil.Process) -> int | None:
    if not hasattr(process, "rlimit"):  # Linux and FreeBSD have it
        return None
    soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
    return int(soft) if soft not in {-1, 2**64 - 1} else None


def _unless_denied(read: Callable[[], int | None]) -> int | None:
    try:
        return read()
    except (psutil.AccessDenied, OSError):
        return None

"""Processes: whether they run, how many, and what they hold."""

from __future__ import annotations

import os
import re  # noqa: TC003 - pydantic resolves it when the class is made
from pathlib import Path  # noqa: TC003 - pydantic resolves it when the class is made
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator, model_validator

from vitald.checks.base import Observation, Result
from vitald.checks.limits import Finding, check_order, conclude, fact, judge, percent, size
from vitald.checks.readings.between import Between
from vitald.checks.readings.processes import (
    ProcessSample,
    cpu_percent,
    has_command,
    has_name,
    sample_from_pid_file,
    sample_matching,
    sample_process,
)
from vitald.clock import SystemClock
from vitald.config.options import CheckOptions, Percent, Size
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Self

    from vitald.checks.base import Isolation
    from vitald.clock import Clock

_WAYS = ("pid_file", "name", "command", "pid")


class Options(CheckOptions):
    """One way to find the processes, how many there must be, and limits for what they hold."""

    pid_file: Path | None = Field(None, description="File that holds the process id.")
    name: str | None = Field(
        None, min_length=1, description="Name of the program, as `ps -o comm` shows it."
    )
    command: re.Pattern[str] | None = Field(
        None, description="Regular expression, searched for in the whole command line."
    )
    pid: Literal["self"] | None = Field(None, description="`self` is the sidecar.")
    at_least: int = Field(1, ge=0, description="Critical when fewer run.")
    at_most: int | None = Field(None, ge=0, description="Critical when more run.")
    memory_warning: Size | None = Field(
        None, description="Warning from this much resident memory, all together."
    )
    memory_critical: Size | None = Field(
        None, description="Critical from this much resident memory, all together."
    )
    cpu_warning: float | None = Field(
        None, gt=0, description="Warning from this much processor time; 100 is one whole core."
    )
    cpu_critical: float | None = Field(
        None, gt=0, description="Critical from this much processor time; 100 is one whole core."
    )
    open_files_warning: Percent | None = Field(
        80.0, description="Warning when one has this share of its open files limit open."
    )
    open_files_critical: Percent | None = Field(
        95.0, description="Critical when one has this share of its open files limit open."
    )

    @field_validator("memory_critical", "cpu_critical", "open_files_critical")
    @classmethod
    def _in_order(cls, critical: float | None, info: ValidationInfo) -> float | None:
        check_order(info.data.get(str(info.field_name).replace("critical", "warning")), critical)
        return critical

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_WAYS)}")
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError("at_most must not be below at_least")
        return self


class Found(NamedTuple):
    """The processes found at one moment, and why there are none where that is known."""

    processes: Sequence[ProcessSample]
    why_none: str = ""


class ProcessCheck:
    """Find processes and add up what they hold.

    One that was replaced is never taken for another: a process is its id and its start time.
    """

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "thread"
    connectivity: ClassVar[bool] = False

    def __init__(
        self,
        *,
        pid_file: Path | None = None,
        name: str | None = None,
        command: re.Pattern[str] | None = None,
        pid: Literal["self"] | None = None,
        at_least: int = 1,
        at_most: int | None = None,
        memory_warning: int | None = None,
        memory_critical: int | None = None,
        cpu_warning: float | None = None,
        cpu_critical: float | None = None,
        open_files_warning: float | None = 80.0,
        open_files_critical: float | None = 95.0,
        clock: Clock | None = None,
    ) -> None:
        self._pid_file = pid_file
        self._name = name
        self._command = command
        self._own = pid == "self"
        self._bounds = (at_least, at_most)
        self._memory_limits = (memory_warning, memory_critical)
        self._cpu_limits = (cpu_warning, cpu_critical)
        self._files_limits = (open_files_warning, open_files_critical)
        self._clock = clock or SystemClock()
        self._between = Between(self._find, clock=clock)

    def run(self) -> Result:
        before, after, seconds = self._between.take()
        processes = after.processes
        cpu = cpu_percent(before.processes, processes, seconds)
        return conclude(
            [self._count(after), *self._holdings(processes, cpu)],
            self._observations(processes, cpu),
        )

    def _find(self) -> Found:
        if self._pid_file is not None:
            found, why_not = sample_from_pid_file(self._pid_file)
            return Found([found] if found else [], why_not)
        if self._own:
            own = sample_process(os.getpid())
            return Found([own] if own else [])
        if self._command is not None:
            return Found(sample_matching(has_command(self._command.search)))
        return Found(sample_matching(has_name(str(self._name))))

    def _count(self, found: Found) -> Finding:
        count = len(found.processes)
        least, most = self._bounds
        text = f"{count} {'process' if count == 1 else 'processes'} of {self._what()}"
        if count < least:
            wanted = found.why_none or f"{text}, at least {least} must run"
            return Finding(Status.CRITICAL, wanted)
        if most is not None and count > most:
            return Finding(Status.CRITICAL, f"{text}, at most {most} may run")
        return fact(text)

    def _what(self) -> str:
        if self._pid_file is not None:
            return str(self._pid_file)
        if self._own:
            return "the sidecar"
        return f"/{self._command.pattern}/" if self._command else str(self._name)

    def _holdings(self, processes: Sequence[ProcessSample], cpu: float) -> Iterator[Finding]:
        if not processes:
            return
        memory = sum(process.rss_bytes for process in processes)
        yield judge("{} resident", memory, *self._memory_limits, write=size)
        yield judge("{} of a core", cpu, *self._cpu_limits, write=percent)
        shares = [(process.open_files_percent or 0.0, process.pid) for process in processes]
        worst_share, pid = max(shares)
        finding = judge(
            f"process {pid} has {{}} of its open files open",
            worst_share,
            *self._files_limits,
            write=percent,
        )
        if finding.status is not Status.HEALTHY:
            yield finding

    def _observations(
        self, processes: Sequence[ProcessSample], cpu: float
    ) -> Iterator[Observation]:
        files = [p.open_files for p in processes if p.open_files is not None]
        oldest = min((process.started for process in processes), default=None)
        uptime = None if oldest is None else max(self._clock.now().wall - oldest, 0.0)
        yield Observation("process_count", len(processes))
        yield Observation("process_memory_bytes", sum(p.rss_bytes for p in processes))
        yield Observation("process_cpu_percent", cpu)
        yield Observation("process_threads", sum(p.threads for p in processes))
        # What may not be counted for any of them is unknown, not 0.
        yield Observation("process_open_files", sum(files) if files or not processes else None)
        yield Observation("process_uptime_seconds", uptime)

"""What the disks do, and how long they take for it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from vitald.checks.base import Observation, Result
from vitald.checks.limits import check_order, conclude, fact, judge, percent, size
from vitald.checks.readings.between import Between
from vitald.checks.readings.disks import DiskCounters, DiskIo, disks_between, sample_disks
from vitald.checks.wording import duration
from vitald.config.options import CheckOptions, Duration, Percent
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vitald.checks.base import Isolation
    from vitald.checks.limits import Finding


class Options(CheckOptions):
    """Which disks, and limits for how busy and how slow they may be."""

    devices: tuple[str, ...] = Field(
        ("*",), description="Names of disks, like `sda` or `nvme*`; partitions are part of theirs."
    )
    warning: Percent | None = Field(
        95.0, description="Warning when a disk is busy for this share of the time."
    )
    critical: Percent | None = Field(
        None, description="Critical when a disk is busy for this share of the time."
    )
    latency_warning: Duration | None = Field(
        0.2, description="Warning when an operation takes this long on average."
    )
    latency_critical: Duration | None = Field(
        2.0, description="Critical when an operation takes this long on average."
    )

    @field_validator("critical", "latency_critical")
    @classmethod
    def _in_order(cls, critical: float | None, info: ValidationInfo) -> float | None:
        check_order(info.data.get(str(info.field_name).replace("critical", "warning")), critical)
        return critical


class DiskIoCheck:
    """Compare the disks' counters with those of the run before."""

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "thread"
    connectivity: ClassVar[bool] = False
    machine_wide: ClassVar[bool] = True

    def __init__(
        self,
        *,
        devices: Sequence[str] = ("*",),
        warning: float | None = 95.0,
        critical: float | None = None,
        latency_warning: float | None = 0.2,
        latency_critical: float | None = 2.0,
        between: Between[dict[str, DiskCounters]] | None = None,
    ) -> None:
        self._devices = tuple(devices)
        self._busy_limits = (warning, critical)
        self._latency_limits = (latency_warning, latency_critical)
        self._between = between or Between(sample_disks)

    def run(self) -> Result:
        before, after, seconds = self._between.take()
        disks = {
            name: rates
            for name, rates in disks_between(before, after, seconds).items()
            if any(fnmatchcase(name, pattern) for pattern in self._devices)
        }
        if not disks and self._devices != ("*",):
            wanted = ", ".join(self._devices)
            return Result(Status.CRITICAL, f"cannot find a disk named {wanted}")
        return conclude(self._findings(disks), _observations(disks))

    def _findings(self, disks: Mapping[str, DiskIo]) -> Iterator[Finding]:
        if not disks:
            yield fact("this machine shows no disks")
        for name, rates in disks.items():
            if rates.busy is not None:
                yield judge(f"{name} {{}} busy", rates.busy, *self._busy_limits, write=percent)
            if rates.latency is not None:
                slow = f"{name} takes {{}} per operation"
                yield judge(slow, rates.latency, *self._latency_limits, write=duration)
            if rates.read_bytes is not None and rates.write_bytes is not None:
                read, written = size(rates.read_bytes), size(rates.write_bytes)
                yield fact(f"{name} reads {read}/s and writes {written}/s")


def _observations(disks: Mapping[str, DiskIo]) -> Iterator[Observation]:
    for name, rates in disks.items():
        tags = (("device", name),)
        yield Observation("disk_read_bytes_per_second", rates.read_bytes, tags)
        yield Observation("disk_write_bytes_per_second", rates.write_bytes, tags)
        yield Observation("disk_reads_per_second", rates.reads, tags)
        yield Observation("disk_writes_per_second", rates.writes, tags)
        yield Observation("disk_busy_percent", rates.busy, tags)
        if rates.latency is not None:
            yield Observation("disk_latency_seconds", rates.latency, tags)

"""The processor: how busy it is, who waits for it, and whether a quota holds it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from vitald.checks.base import Observation, Result
from vitald.checks.limits import check_order, conclude, judge, number, percent
from vitald.checks.readings.between import Between
from vitald.checks.readings.cpu import CpuSample, CpuUsage, cpu_between, sample_cpu
from vitald.config.options import CheckOptions, Percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitald.checks.base import Isolation
    from vitald.checks.limits import Finding


class Options(CheckOptions):
    """Limits for the share of time in use, load, waiting for disks, and throttling.

    A busy processor is what was paid for: by default that is a warning and never critical.
    """

    warning: Percent | None = Field(90.0, description="Warning from this share of time in use.")
    critical: Percent | None = Field(None, description="Critical from this share of time in use.")
    load_warning: float | None = Field(
        4.0, gt=0, description="Warning from this load of the last 5 minutes, per core."
    )
    load_critical: float | None = Field(
        None, gt=0, description="Critical from this load of the last 5 minutes, per core."
    )
    iowait_warning: Percent | None = Field(
        40.0, description="Warning when the processor waits for disks this share of the time."
    )
    iowait_critical: Percent | None = Field(
        None, description="Critical when the processor waits for disks this share of the time."
    )
    throttled_warning: Percent | None = Field(
        25.0, description="Warning when the cgroup's quota ran out in this share of its periods."
    )
    throttled_critical: Percent | None = Field(
        None, description="Critical when the cgroup's quota ran out in this share of its periods."
    )

    @field_validator("critical", "load_critical", "iowait_critical", "throttled_critical")
    @classmethod
    def _in_order(cls, critical: float | None, info: ValidationInfo) -> float | None:
        check_order(info.data.get(str(info.field_name).replace("critical", "warning")), critical)
        return critical


class CpuCheck:
    """Compare the processor's time counters with those of the run before."""

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "thread"
    connectivity: ClassVar[bool] = False
    machine_wide: ClassVar[bool] = True

    def __init__(
        self,
        *,
        warning: float | None = 90.0,
        critical: float | None = None,
        load_warning: float | None = 4.0,
        load_critical: float | None = None,
        iowait_warning: float | None = 40.0,
        iowait_critical: float | None = None,
        throttled_warning: float | None = 25.0,
        throttled_critical: float | None = None,
        between: Between[CpuSample] | None = None,
    ) -> None:
        self._limits = (warning, critical)
        self._load_limits = (load_warning, load_critical)
        self._iowait_limits = (iowait_warning, iowait_critical)
        self._throttled_limits = (throttled_warning, throttled_critical)
        self._between = between or Between(sample_cpu)

    def run(self) -> Result:
        before, after, _ = self._between.take()
        usage = cpu_between(before, after)
        return conclude(self._findings(usage), _observations(usage))

    def _findings(self, usage: CpuUsage) -> Iterator[Finding]:
        load_per_core = usage.load[1] / usage.cores
        yield judge("{} used", usage.usage, *self._limits, write=percent)
        yield judge("load {} per core", load_per_core, *self._load_limits, write=number)
        if usage.iowait is not None:
            waits = "{} waiting for disks"
            yield judge(waits, usage.iowait, *self._iowait_limits, write=percent)
        if usage.throttled is not None:
            throttled = f"throttled in {{}} of periods ({number(usage.quota_cores or 0)} cores)"
            yield judge(throttled, usage.throttled, *self._throttled_limits, write=percent)


def _observations(usage: CpuUsage) -> Iterator[Observation]:
    yield Observation("cpu_usage_percent", usage.usage)
    yield Observation("cpu_user_percent", usage.user)
    yield Observation("cpu_system_percent", usage.system)
    yield Observation("cpu_iowait_percent", usage.iowait)
    yield Observation("cpu_steal_percent", usage.steal)
    yield Observation("cpu_cores", usage.cores)
    if usage.quota_cores is not None:
        yield Observation("cpu_quota_cores", usage.quota_cores)
        yield Observation("cpu_throttled_percent", usage.throttled)
    if usage.pressure is not None:
        yield Observation("cpu_pressure_percent", usage.pressure)
    for minutes, load in zip((1, 5, 15), usage.load, strict=True):
        yield Observation(f"load_average_{minutes}m", load)

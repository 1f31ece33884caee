"""Where processor time goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from vitald.checks.readings.between import growth, share
from vitald.checks.readings.cgroup import CgroupCpu
from vitald.checks.readings.cgroup import read_cpu as read_cgroup_cpu
from vitald.checks.readings.pressure import read_pressure

if TYPE_CHECKING:
    from collections.abc import Mapping


class CpuSample(NamedTuple):
    """Seconds spent since the machine started, by kind, and the quota's counters."""

    times: Mapping[str, float]
    quota: CgroupCpu | None


class CpuUsage(NamedTuple):
    """Percent of all cores' time between two samples, and what else describes the processor.

    `load` are the averages of 1, 5 and 15 minutes: tasks that run or wait. `throttled` is the
    share of the quota's periods in which the control group ran out of it.
    """

    usage: float | None
    user: float | None
    system: float | None
    iowait: float | None
    steal: float | None
    load: tuple[float, float, float]
    cores: int
    quota_cores: float | None
    throttled: float | None
    pressure: float | None


def sample_cpu(root: Path = Path("/")) -> CpuSample:
    """Take one sample."""
    return CpuSample(psutil.cpu_times()._asdict(), read_cgroup_cpu(root))


def cpu_between(before: CpuSample, after: CpuSample, root: Path = Path("/")) -> CpuUsage:
    """Return what happened between two samples."""
    spent = {
        # iowait and idle may be corrected downwards by the kernel; that is no time at all.
        kind: growth(before.times.get(kind), seconds) or 0.0
        for kind, seconds in after.times.items()
        # Guests' time is part of user and nice already.
        if kind not in {"guest", "guest_nice"}
    }
    total = sum(spent.values())
    busy = total - spent.get("idle", 0.0) - spent.get("iowait", 0.0)
    pressure = read_pressure("cpu", root)
    return CpuUsage(
        usage=share(busy, total),
        user=share(spent.get("user", 0.0) + spent.get("nice", 0.0), total),
        system=share(spent.get("system", 0.0), total),
        iowait=share(spent.get("iowait"), total),
        steal=share(spent.get("steal"), total),
        load=os.getloadavg(),
        cores=psutil.cpu_count() or 1,
        quota_cores=after.quota.cores if after.quota else None,
        throttled=_throttled(before.quota, after.quota),
        pressure=pressure.some if pressure else None,
    )


def _throttled(before: CgroupCpu | None, after: CgroupCpu | None) -> float | None:
    if after is None:
        return None
    if before is None:
        return 0.0
    periods = growth(before.periods, after.periods)
    # A group that did nothing has no periods, and was not held up either.
    return share(growth(before.throttled, after.throttled), periods) if periods else 0.0

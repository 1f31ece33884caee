"""The machine and the sidecar itself, as the `stats` document shows them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vitald.checks.readings.between import Between
from vitald.checks.readings.cpu import CpuSample, cpu_between, sample_cpu
from vitald.checks.readings.disks import DiskCounters, disks_between, sample_disks
from vitald.checks.readings.filesystems import Space, read_space
from vitald.checks.readings.interfaces import (
    InterfaceSample,
    Traffic,
    interfaces_between,
    sample_interfaces,
)
from vitald.checks.readings.memory import read_memory
from vitald.checks.readings.mounts import Mount, real_mounts
from vitald.checks.readings.processes import ProcessSample, cpu_percent, sample_process
from vitald.checks.threads import DaemonPool, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vitald.clock import Clock

# A document compares with the one before it, unless that is older: then it looks twice.
_AT_MOST = 15.0
# A file system that does not answer is left out after this, and not asked again until it does.
_SPACE_SECONDS = 0.5
_SPACE_THREADS = 4


class _Sample(NamedTuple):
    cpu: CpuSample
    disks: Mapping[str, DiskCounters]
    interfaces: Mapping[str, InterfaceSample]
    process: ProcessSample | None


class Performance:
    """Answers with rates over the time since the last answer, or over a moment when that is long.

    `document` may block for that moment (a quarter of a second) and for a dead file system (half a
    second, once): it does not belong on the event loop. It is not for two threads at once.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        root: Path = Path("/"),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = root
        self._between = Between(self._sample, at_most=_AT_MOST, clock=clock, pause=pause)
        self._spaces = Spaces(DaemonPool("space", _SPACE_THREADS))

    def document(self) -> dict[str, Any]:
        """Return the sections cpu, memory, disk, disk_io, network and process.

        Units are in the names; null is what this machine does not tell. Rates are per second over
        the last `interval_seconds`.
        """
        before, after, seconds = self._between.take()
        return {
            "cpu": {"interval_seconds": round(seconds, 3), **self._cpu(before.cpu, after.cpu)},
            "memory": self._memory(),
            "disk": [
                _space(mount, self._spaces.of(mount.path)) for mount in real_mounts(self._root)
            ],
            "disk_io": [
                {
                    "device": name,
                    "read_bytes_per_second": rates.read_bytes,
                    "write_bytes_per_second": rates.write_bytes,
                    "reads_per_second": rates.reads,
                    "writes_per_second": rates.writes,
                    "busy_percent": rates.busy,
                    "latency_seconds": rates.latency,
                }
                for name, rates in disks_between(before.disks, after.disks, seconds).items()
            ],
            "network": _network(interfaces_between(before.interfaces, after.interfaces, seconds)),
            "process": _process(before.process, after.process, seconds),
        }

    def _sample(self) -> _Sample:
        return _Sample(
            sample_cpu(self._root),
            sample_disks(self._root),
            sample_interfaces(),
            sample_process(os.getpid()),
        )

    def _cpu(self, before: CpuSample, after: CpuSample) -> dict[str, Any]:
        usage = cpu_between(before, after, self._root)
        return {
            "usage_percent": usage.usage,
            "user_percent": usage.user,
            "system_percent": usage.system,
            "iowait_percent": usage.iowait,
            "steal_percent": usage.steal,
            "load_1": usage.load[0],
            "load_5": usage.load[1],
            "load_15": usage.load[2],
            "cores": usage.cores,
            "quota_cores": usage.quota_cores,
            "throttled_percent": usage.throttled,
            "pressure_percent": usage.pressure,
        }

    def _memory(self) -> dict[str, Any]:
        memory = read_memory(root=self._root)
        return {
            "scope": memory.scope,
            "total_bytes": memory.total,
            "usage_bytes": memory.used,
            "available_bytes": memory.available,
            "usage_percent": memory.percent,
            "swap_total_bytes": memory.swap_total,
            "swap_usage_bytes": memory.swap_used,
            "pressure_percent": memory.pressure.some if memory.pressure else None,
            "oom_kills": memory.oom_kills,
        }


class Spaces:
    """Asks file systems for their space without being held up by one that does not answer."""

    def __init__(self, pool: DaemonPool, seconds: float = _SPACE_SECONDS) -> None:
        self._pool = pool
        self._seconds = seconds
        self._unanswered: dict[str, Job[Space]] = {}

    def of(self, path: str) -> Space | None:
        """Return the space at `path`, None when it cannot be read or was not told in time."""
        job = self._unanswered.get(path)
        if job is None:
            answered = threading.Event()
            job = self._unanswered[path] = self._pool.submit(lambda: read_space(path), answered.set)
            answered.wait(self._seconds)
        if not job.done:
            return None
        del self._unanswered[path]
        return job.value


def _space(mount: Mount, space: Space | None) -> dict[str, Any]:
    return {
        "path": mount.path,
        "device": mount.source,
        "type": mount.type,
        "size_bytes": space.size if space else None,
        "usage_bytes": space.used if space else None,
        "free_bytes": space.free if space else None,
        "usage_percent": space.percent if space else None,
        "inodes_free": space.inodes_free if space else None,
        "inodes_usage_percent": space.inodes_percent if space else None,
    }


def _network(traffic: Mapping[str, Traffic]) -> dict[str, Any]:
    """Return every interface, and the sums over those that lead out of the machine."""
    outside = [rates for name, rates in traffic.items() if name != "lo"]
    return {
        "receive_bytes_per_second": sum(rates.receive_bytes or 0.0 for rates in outside),
        "transmit_bytes_per_second": sum(rates.transmit_bytes or 0.0 for rates in outside),
        "errors_per_second": sum(rates.errors or 0.0 for rates in outside),
        "drops_per_second": sum(rates.drops or 0.0 for rates in outside),
        "interfaces": [
            {
                "interface": name,
                "up": rates.up,
                "receive_bytes_per_second": rates.receive_bytes,
                "transmit_bytes_per_second": rates.transmit_bytes,
                "errors_per_second": rates.errors,
                "drops_per_second": rates.drops,
            }
            for name, rates in traffic.items()
        ],
    }


def _process(
    before: ProcessSample | None, after: ProcessSample | None, seconds: float
) -> dict[str, Any]:
    if after is None:
        return {}
    return {
        "pid": after.pid,
        "rss_bytes": after.rss_bytes,
        "cpu_percent": cpu_percent([before] if before else [], [after], seconds),
        "open_files": after.open_files,
        "open_files_limit": after.open_files_limit,
        "threads": after.threads,
    }

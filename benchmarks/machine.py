"""Where the numbers were taken, and which cores do what."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.processes import BenchmarkError
from vitald.aggregator.engines import choose

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cores(NamedTuple):
    """Which cores receive, one for each reader, and which send."""

    receivers: Sequence[int]
    load: Sequence[int]


def cores(receivers: int = 1, senders: int = 1) -> Cores:
    """Choose cores among those this process may use; raises BenchmarkError below two.

    Where there are too few, there are fewer senders, then fewer receivers.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchmarkError("cannot measure throughput: one core for the load and one to receive")
    first = min(receivers, len(usable) - 1)
    return Cores(usable[:first], usable[first:][-senders:])


def description() -> list[str]:
    """Return lines that say what this machine is."""
    usable = len(os.sched_getaffinity(0))
    return [
        f"processor  {_processor()}, {usable} of {os.cpu_count()} cores usable",
        f"memory     {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        f"kernel     {platform.system()} {platform.release()}",
        f"rmem       default {_sysctl('rmem_default')}, max {_sysctl('rmem_max')} bytes",
        f"Python     {platform.python_implementation()} {platform.python_version()}",
        f"Rust       {_version('rustc')}",
        f"Node       {_version('node')}",
        f"engine     {choose('auto', {})}",
        f"load       {os.getloadavg()[0]:.2f} (one-minute average when this began)",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _sysctl(name: str) -> str:
    try:
        return Path(f"/proc/sys/net/core/{name}").read_text().strip()
    except OSError:
        return "unknown"


def _version(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "none"
    result = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return result.stdout.removeprefix(program).strip().removeprefix("v") or "none"

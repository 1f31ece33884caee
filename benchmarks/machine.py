"""Where the numbers were taken, and which cores do what."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import BenchmarkError


class Cores(NamedTuple):
    """One core for the receiver; the load and this program have the others."""

    receiver: int
    load: int
    rest: tuple[int, ...]


def cores() -> Cores:
    """Choose cores among those this process may use; raises BenchmarkError below two."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchmarkError("cannot measure throughput: one core for the load and one to receive")
    # The first core often serves the machine's interrupts.
    receiver = usable[1]
    load = usable[2] if len(usable) > 2 else usable[0]
    return Cores(receiver, load, tuple(cpu for cpu in usable if cpu != receiver))


def description() -> list[str]:
    """Return lines that say what this machine is."""
    usable = len(os.sched_getaffinity(0))
    return [
        f"processor  {_processor()}, {usable} of {os.cpu_count()} cores usable",
        f"memory     {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        f"kernel     {platform.system()} {platform.release()}",
        f"rmem       default {_sysctl('rmem_default')}, max {_sysctl('rmem_max')} bytes",
        f"Python     {platform.python_implementation()} {platform.python_version()}",
        f"Node       {_node()}",
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


def _node() -> str:
    path = shutil.which("node")
    if path is None:
        return "none"
    return (
        subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        .stdout[1:]
        .strip()
    )

"""How much memory there is, of the machine or of the control group that is confined to less."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from vitald.checks.readings.cgroup import read_memory as read_cgroup_memory
from vitald.checks.readings.pressure import Pressure, read_pressure

Scope = Literal["auto", "host", "cgroup"]


class Memory(NamedTuple):
    """Bytes. `used` is what cannot be had without swapping or killing: `total` - `available`.

    `scope` says whose memory it is. `pressure` is the machine's.
    """

    scope: Literal["host", "cgroup"]
    total: int
    used: int
    available: int
    swap_total: int
    swap_used: int
    oom_kills: int | None
    pressure: Pressure | None

    @property
    def percent(self) -> float:
        """Return the used share."""
        return 100.0 * self.used / self.total if self.total else 0.0

    @property
    def swap_percent(self) -> float | None:
        """Return the used share of the swap space, None without any."""
        return 100.0 * self.swap_used / self.swap_total if self.swap_total else None


def read_memory(scope: Scope = "auto", root: Path = Path("/")) -> Memory:
    """Read the memory of the machine, or of the control group where that is confined to less.

    `host` and `cgroup` choose one; a group that nothing limits has the machine's memory. The choice
    depends on limits alone, never on use, so that a series does not jump from one to the other.
    """
    machine = psutil.virtual_memory()
    swap = psutil.swap_memory()
    pressure = read_pressure("memory", root)
    host_used = machine.total - machine.available
    group = None if scope == "host" else read_cgroup_memory(root)
    if group is not None and (scope == "cgroup" or group.limit < machine.total):
        limit = min(group.limit, machine.total)
        used = min(group.used, limit)
        return Memory(
            "cgroup", limit, used, limit - used, swap.total, swap.used, group.oom_kills, pressure
        )
    return Memory(
        "host",
        machine.total,
        host_used,
        machine.available,
        swap.total,
        swap.used,
        _kills_of_the_machine(root),
        pressure,
    )


def _kills_of_the_machine(root: Path) -> int | None:
    """Return how many processes were killed for lack of memory since the machine started."""
    try:
        text = (root / "proc/vmstat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill" and number.isdecimal():
            return int(number)
    return None

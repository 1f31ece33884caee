"""What the disks do: bytes and operations per second, how busy they are, how long they take."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from vitald.checks.readings.between import growth, per_second

if TYPE_CHECKING:
    from collections.abc import Mapping

# Memory and images dressed up as disks.
_NO_DISK = re.compile(r"(loop|ram|zram|sr|fd|nbd)[0-9]+")


class DiskCounters(NamedTuple):
    """Counters of one disk since the machine started; times in seconds."""

    reads: int
    writes: int
    read_bytes: int
    write_bytes: int
    operation_seconds: float
    busy_seconds: float | None


class DiskIo(NamedTuple):
    """Rates of one disk between two samples; None for a disk that came in between.

    `latency` is the mean time of an operation in seconds, None when there was none. `busy` is the
    percentage of time in which at least one was under way: 100 % is the limit of a spinning disk,
    not of one that works on many at once.
    """

    reads: float | None
    writes: float | None
    read_bytes: float | None
    write_bytes: float | None
    busy: float | None
    latency: float | None


def sample_disks(root: Path = Path("/")) -> dict[str, DiskCounters]:
    """Return the counters of every whole disk, by its name; partitions are part of theirs."""
    counters = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    return {
        name: DiskCounters(
            reads=found.read_count,
            writes=found.write_count,
            read_bytes=found.read_bytes,
            write_bytes=found.write_bytes,
            operation_seconds=(found.read_time + found.write_time) / 1000.0,
            busy_seconds=found.busy_time / 1000.0 if hasattr(found, "busy_time") else None,
        )
        for name, found in counters.items()
        if _is_disk(name, root)
    }


def disks_between(
    before: Mapping[str, DiskCounters], after: Mapping[str, DiskCounters], seconds: float
) -> dict[str, DiskIo]:
    """Return the rates of every disk of the later sample."""
    return {
        name: _rates(before[name], now, seconds) if name in before else DiskIo(*[None] * 6)
        for name, now in sorted(after.items())
    }


def _rates(was: DiskCounters, now: DiskCounters, seconds: float) -> DiskIo:
    if now.reads < was.reads or now.writes < was.writes:
        # Another disk took the name: none of its counters can be compared.
        return DiskIo(*[None] * 6)
    operations = (now.reads - was.reads) + (now.writes - was.writes)
    spent = growth(was.operation_seconds, now.operation_seconds)
    busy = per_second(was.busy_seconds, now.busy_seconds, seconds)
    return DiskIo(
        reads=per_second(was.reads, now.reads, seconds),
        writes=per_second(was.writes, now.writes, seconds),
        read_bytes=per_second(was.read_bytes, now.read_bytes, seconds),
        write_bytes=per_second(was.write_bytes, now.write_bytes, seconds),
        # The kernel adds an operation's time when it ends, so a sum may pass 100 %.
        busy=None if busy is None else min(100.0 * busy, 100.0),
        latency=spent / operations if spent is not None and operations else None,
    )


def _is_disk(name: str, root: Path) -> bool:
    if _NO_DISK.fullmatch(name):
        return False
    # The kernel writes the slash of names like cciss/c0d0 as an exclamation mark.
    return sys.platform != "linux" or (root / "sys/block" / name.replace("/", "!")).exists()

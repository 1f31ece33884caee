from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.readings import disks
from vitald.checks.readings.disks import DiskCounters, DiskIo, disks_between, sample_disks

NOTHING = DiskIo(*[None] * 6)


def between(before, after, seconds=10.0):
    return disks_between({"sda": before}, {"sda": after}, seconds)["sda"]


def test_rates_are_differences_per_second():
    before = DiskCounters(100, 200, 1000, 2000, 5.0, 3.0)
    after = DiskCounters(150, 250, 51000, 102000, 7.0, 8.0)
    assert between(before, after) == DiskIo(
        reads=5.0, writes=5.0, read_bytes=5000.0, write_bytes=10000.0, busy=50.0, latency=0.02
    )


def test_without_operations_there_is_no_latency():
    idle = DiskCounters(1, 1, 1, 1, 1.0, 1.0)
    assert between(idle, idle) == DiskIo(0.0, 0.0, 0.0, 0.0, 0.0, None)


def test_a_disk_is_never_more_than_wholly_busy():
    rates = between(DiskCounters(0, 0, 0, 0, 0.0, 0.0), DiskCounters(1, 0, 0, 0, 0.0, 99.0))
    assert rates.busy == 100.0


def test_a_disk_that_took_the_name_of_another_is_not_compared_with_it():
    old, new = DiskCounters(100, 100, 10, 10, 1.0, 1.0), DiskCounters(1, 200, 99, 99, 2.0, 2.0)
    assert between(old, new) == NOTHING


def test_a_disk_that_is_new_has_no_rates_and_one_that_is_gone_is_gone():
    counters = DiskCounters(1, 1, 1, 1, 1.0, 1.0)
    assert disks_between({"sda": counters}, {"sdb": counters}, 1.0) == {"sdb": NOTHING}


def test_a_system_without_busy_time_has_none():
    before, after = DiskCounters(0, 0, 0, 0, 0, None), DiskCounters(1, 0, 0, 0, 1, None)
    assert between(before, after).busy is None


counts = st.integers(0, 2**64)


@given(st.tuples(counts, counts, counts, counts), st.tuples(counts, counts, counts, counts))
def test_no_rate_is_ever_negative(was, now):
    rates = between(DiskCounters(*was, 1.0, 1.0), DiskCounters(*now, 1.0, 1.0))
    assert all(rate is None or rate >= 0 for rate in rates)


@pytest.mark.skipif(sys.platform != "linux", reason="/sys/block is Linux'")
def test_only_whole_disks_count(tmp_path):
    for name in ("sda", "cciss!c0d0", "loop0", "nvme0n1", "zram0"):
        (tmp_path / "sys/block" / name).mkdir(parents=True)
    chosen = [
        name
        for name in ("sda", "sda1", "cciss/c0d0", "loop0", "nvme0n1", "nvme0n1p1", "zram0")
        if disks._is_disk(name, tmp_path)
    ]
    assert chosen == ["sda", "cciss/c0d0", "nvme0n1"]


@pytest.mark.skipif(not Path("/proc/diskstats").exists(), reason="/proc/diskstats is Linux'")
def test_the_counters_of_this_machine_are_the_kernels():
    def kernel():
        rows = (line.split() for line in Path("/proc/diskstats").read_text().splitlines())
        return {row[2]: (int(row[5]) * 512, int(row[9]) * 512) for row in rows}

    before, found, after = kernel(), sample_disks(), kernel()
    for name, counters in found.items():
        assert before[name][0] <= counters.read_bytes <= after[name][0]
        assert before[name][1] <= counters.write_bytes <= after[name][1]


@pytest.mark.skipif(not sample_disks(), reason="this machine shows no disks")
def test_what_is_written_shows_up(tmp_path):
    if not Path(f"/sys/dev/block/{_device(tmp_path)}").exists():
        pytest.skip("the temporary directory lies on no disk of this machine")
    before = sum(counters.write_bytes for counters in sample_disks().values())
    with (tmp_path / "written").open("wb") as file:
        file.write(os.urandom(4 << 20))
        file.flush()
        os.fsync(file.fileno())
    assert sum(c.write_bytes for c in sample_disks().values()) - before >= 4 << 20


def _device(path):
    number = path.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from vitald.checks.readings.cgroup import CgroupCpu
from vitald.checks.readings.cpu import CpuSample, cpu_between, sample_cpu


def sample(quota=None, **times):
    kinds = ("user", "nice", "system", "idle", "iowait", "irq", "steal", "guest")
    every = dict.fromkeys(kinds, 0.0)
    return CpuSample({**every, **times}, quota)


def test_shares_of_all_time_add_up():
    usage = cpu_between(
        sample(user=100, idle=1000),
        sample(user=120, nice=10, system=20, idle=1040, iowait=5, steal=5),
    )
    assert usage.usage == pytest.approx(55.0)
    assert (usage.user, usage.system) == (pytest.approx(30.0), pytest.approx(20.0))
    assert (usage.iowait, usage.steal) == (pytest.approx(5.0), pytest.approx(5.0))


def test_time_of_guests_is_not_counted_twice():
    usage = cpu_between(sample(), sample(user=50, guest=50, idle=50))
    assert usage.usage == pytest.approx(50.0)


def test_a_kernel_that_corrects_idle_time_downwards_gives_no_nonsense():
    usage = cpu_between(sample(idle=100, iowait=50), sample(idle=99, iowait=40, user=10))
    assert usage.usage == pytest.approx(100.0)
    assert usage.iowait == 0.0


def test_without_any_time_in_between_nothing_is_known():
    assert cpu_between(sample(user=5), sample(user=5)).usage is None


def test_throttling_is_the_share_of_periods_that_ran_out():
    before, after = CgroupCpu(1.5, 100, 10), CgroupCpu(1.5, 200, 60)
    usage = cpu_between(sample(before), sample(after, idle=1))
    assert (usage.quota_cores, usage.throttled) == (1.5, pytest.approx(50.0))


def test_a_group_that_did_nothing_was_not_throttled():
    quota = CgroupCpu(1.5, 100, 10)
    assert cpu_between(sample(quota), sample(quota, idle=1)).throttled == 0.0


def test_a_quota_that_is_new_has_not_throttled_yet_and_none_is_none():
    assert cpu_between(sample(), sample(CgroupCpu(1.0, 5, 5), idle=1)).throttled == 0.0
    usage = cpu_between(sample(), sample(idle=1))
    assert (usage.quota_cores, usage.throttled) == (None, None)


def test_this_machine_is_busy_while_something_runs():
    before = sample_cpu()
    ends = time.process_time() + 0.2
    while time.process_time() < ends:
        pass
    after = sample_cpu()
    usage = cpu_between(before, after)
    assert usage.cores == psutil.cpu_count()
    assert 0 < usage.usage <= 100
    assert after.times["user"] - before.times["user"] >= 0.1
    assert usage.load == pytest.approx(os.getloadavg(), abs=5)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/stat is Linux'")
def test_the_times_are_those_of_the_kernel():
    before = sample_cpu().times["user"]
    ticks = int(Path("/proc/stat").read_text().split()[1]) / os.sysconf("SC_CLK_TCK")
    assert before <= ticks <= sample_cpu().times["user"]

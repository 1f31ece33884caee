from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from vitald.checks.readings.memory import read_memory

GIB = 1 << 30


def confined(limit, current, **files):
    """A container of version 2."""
    return {
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/cgroup.controllers": "memory\n",
        "sys/fs/cgroup/memory.max": f"{limit}\n",
        "sys/fs/cgroup/memory.current": f"{current}\n",
        "sys/fs/cgroup/memory.events": "oom_kill 2\n",
        **files,
    }


def test_in_a_container_the_limit_is_the_containers(tree):
    limit = psutil.virtual_memory().total // 2
    memory = read_memory("auto", tree(confined(limit, limit // 4)))
    assert (memory.scope, memory.total, memory.used) == ("cgroup", limit, limit // 4)
    assert (memory.available, memory.percent, memory.oom_kills) == (limit - limit // 4, 25.0, 2)


def test_the_scope_does_not_change_with_use(tree):
    limit = psutil.virtual_memory().total // 2
    assert read_memory("auto", tree(confined(limit, 0))).scope == "cgroup"


def test_a_limit_above_the_machines_memory_limits_nothing(tree):
    total = psutil.virtual_memory().total
    root = tree(confined(total * 2, total // 4))
    assert read_memory("auto", root).scope == "host"
    memory = read_memory("cgroup", root)
    assert (memory.scope, memory.total) == ("cgroup", total)


def test_more_in_use_than_the_limit_is_all_of_it(tree):
    memory = read_memory("cgroup", tree(confined(GIB // 4, GIB // 2)))
    assert (memory.percent, memory.available) == (100.0, 0)


@pytest.mark.parametrize("scope", ["auto", "cgroup"])
def test_without_a_limit_the_machines_memory_counts(tmp_path, scope):
    assert read_memory(scope, tmp_path).scope == "host"


def test_the_host_can_be_asked_for_in_a_container(tree):
    assert read_memory("host", tree(confined(GIB // 4, 0))).scope == "host"


def test_pressure_and_kills_are_read_where_the_kernel_tells_them(tree):
    files = {
        "proc/pressure/memory": "some avg10=0 avg60=3.5 avg300=0 total=1\n",
        "proc/vmstat": "nr_free_pages 1\noom_kill 5\noom_kill_x 7\n",
    }
    memory = read_memory("host", tree(files))
    assert (memory.pressure.some, memory.oom_kills) == (3.5, 5)


def test_where_the_kernel_does_not_tell_nothing_is_made_up(tmp_path):
    memory = read_memory("host", tmp_path)
    assert (memory.pressure, memory.oom_kills) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/meminfo is Linux'")
def test_this_machines_memory_is_what_the_kernel_says():
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    kib = {name: int(value.split()[0]) * 1024 for name, value in lines.items()}
    memory = read_memory("host")
    assert memory.total == kib["MemTotal"]
    assert memory.available == pytest.approx(kib["MemAvailable"], rel=0.1)
    assert memory.used == memory.total - memory.available
    assert memory.swap_total == kib["SwapTotal"]
    assert (memory.swap_percent is None) == (memory.swap_total == 0)

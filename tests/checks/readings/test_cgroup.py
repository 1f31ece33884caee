"""Trees of both cgroup versions, as they are found inside and outside of containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.readings import cgroup
from vitald.checks.readings.cgroup import (
    CgroupCpu,
    CgroupMemory,
    find_cgroup,
    read_cpu,
    read_memory,
)

V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = """\
31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
"""
NO_LIMIT_V1 = "9223372036854771712\n"
GIB = 1 << 30


def v2_group(directory, **files):
    names = {"max": "memory.max", "current": "memory.current", "stat": "memory.stat"}
    made = {f"{directory}/cgroup.controllers": "cpu io memory pids\n"}
    for key, text in files.items():
        name = names.get(key, key.replace("__", "."))
        made[f"{directory}/{name}"] = f"{text}\n"
    return made


def test_a_container_of_version_2_sees_its_own_group_as_the_top(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2,
            **v2_group(
                "sys/fs/cgroup",
                max=GIB,
                current=800 << 20,
                stat=f"anon 1\nfile 2\ninactive_file {200 << 20}",
                memory__events="low 0\nhigh 0\nmax 4\noom 2\noom_kill 3",
                cpu__max="150000 100000",
                cpu__stat="usage_usec 99\nnr_periods 200\nnr_throttled 50\nthrottled_usec 7",
            ),
        }
    )
    assert read_memory(root) == CgroupMemory(GIB, 600 << 20, 3)
    assert read_cpu(root) == CgroupCpu(1.5, 200, 50)


def test_a_service_of_version_2_is_held_by_the_tightest_level_above_it(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/system.slice/app.service\n",
            "proc/self/mountinfo": V2,
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            **v2_group("sys/fs/cgroup/system.slice", max=2 * GIB, current=int(1.9 * GIB)),
            **v2_group(
                "sys/fs/cgroup/system.slice/app.service",
                max=GIB,
                current=GIB // 4,
                cpu__max="max 100000",
            ),
            "sys/fs/cgroup/system.slice/cpu.max": "400000 100000\n",
        }
    )
    assert read_memory(root) == CgroupMemory(2 * GIB, int(1.9 * GIB), None)
    assert read_cpu(root) == CgroupCpu(4.0, 0, 0)


def test_no_limit_is_none_in_both_versions(tree, tmp_path):
    v2 = tree(
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2,
            **v2_group("sys/fs/cgroup", max="max", current=5, cpu__max="max 100000"),
        }
    )
    assert (read_memory(v2), read_cpu(v2)) == (None, None)


def test_version_1_without_limits(tree):
    root = tree(
        {
            "proc/self/cgroup": "4:memory:/job\n1:cpu,cpuacct:/\n0::/\n",
            "proc/self/mountinfo": V1,
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": NO_LIMIT_V1,
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "123\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        }
    )
    assert (read_memory(root), read_cpu(root)) == (None, None)


def test_version_1_has_one_tree_per_controller(tree):
    root = tree(
        {
            "proc/self/cgroup": "4:memory:/jobs/a\n1:cpu,cpuacct:/batch\n0::/\n",
            "proc/self/mountinfo": V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "99999\n",
            "sys/fs/cgroup/memory/jobs/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/jobs/memory.usage_in_bytes": f"{GIB // 2}\n",
            "sys/fs/cgroup/memory/jobs/memory.stat": f"cache 1\ntotal_inactive_file {GIB // 4}\n",
            "sys/fs/cgroup/memory/jobs/memory.oom_control": "oom_kill_disable 0\noom_kill 7\n",
            "sys/fs/cgroup/memory/jobs/a/memory.limit_in_bytes": NO_LIMIT_V1,
            "sys/fs/cgroup/memory/jobs/a/memory.usage_in_bytes": "5\n",
            "sys/fs/cgroup/cpu,cpuacct/batch/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/batch/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/batch/cpu.stat": "nr_periods 10\nnr_throttled 4\n",
        }
    )
    assert read_memory(root) == CgroupMemory(GIB, GIB // 4, 7)
    assert read_cpu(root) == CgroupCpu(0.5, 10, 4)


def test_in_a_version_1_container_the_paths_are_the_hosts_but_only_its_part_is_mounted(tree):
    root = tree(
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n",
            "proc/self/mountinfo": (
                "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
            ),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
        }
    )
    assert read_memory(root) == CgroupMemory(GIB, 1000, None)


@pytest.mark.parametrize("path", ["/../../outside", "/not/mounted/here"])
def test_a_path_that_is_not_to_be_seen_means_what_is_mounted(tree, path):
    root = tree(
        {
            "proc/self/cgroup": f"0::{path}\n",
            "proc/self/mountinfo": V2,
            **v2_group("sys/fs/cgroup", max=GIB, current=1000),
        }
    )
    assert read_memory(root) == CgroupMemory(GIB, 1000, None)


def test_in_a_hybrid_setup_the_controller_of_version_1_counts(tree):
    root = tree(
        {
            "proc/self/cgroup": "4:memory:/job\n0::/job\n",
            "proc/self/mountinfo": (
                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" + V1
            ),
            "sys/fs/cgroup/unified/job/cgroup.controllers": "\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "1000\n",
        }
    )
    assert find_cgroup("memory", root).version == 1
    assert read_memory(root) == CgroupMemory(GIB, 1000, None)


def test_a_version_2_tree_without_the_controller_is_no_answer(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2,
            "sys/fs/cgroup/cgroup.controllers": "pids\n",
        }
    )
    assert find_cgroup("memory", root) is None
    assert find_cgroup("pids", root).directory == root / "sys/fs/cgroup"


def test_a_machine_without_control_groups_has_no_limits(tmp_path):
    assert (read_memory(tmp_path), read_cpu(tmp_path)) == (None, None)


def test_more_droppable_pages_than_memory_in_use_is_zero_and_not_negative(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2,
            **v2_group("sys/fs/cgroup", max=GIB, current=100, stat="inactive_file 200"),
        }
    )
    assert read_memory(root).used == 0


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_rubbish_in_the_files_raises_nothing(tmp_path_factory, membership, limit, stat):
    root = tmp_path_factory.mktemp("rubbish")
    group = root / "sys/fs/cgroup"
    (root / "proc/self").mkdir(parents=True)
    group.mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(V2)
    (root / "proc/self/cgroup").write_bytes(f"0::/\n{membership}".encode(errors="surrogatepass"))
    (group / "cgroup.controllers").write_text("memory cpu")
    for name, text in (
        ("memory.max", limit),
        ("memory.current", limit),
        ("memory.stat", stat),
        ("cpu.max", limit),
        ("cpu.stat", stat),
    ):
        (group / name).write_bytes(text.encode(errors="surrogatepass"))
    read_memory(root)
    read_cpu(root)


@pytest.mark.skipif(not Path("/proc/self/cgroup").exists(), reason="no control groups")
def test_the_group_of_this_very_process_is_found():
    controllers = {name for name in cgroup._own_paths(Path("/")) if name}
    for controller in ({"memory", "cpu"} & controllers) or {"memory"}:
        group = find_cgroup(controller)
        assert group is None or group.directory.is_dir()
        if controller in controllers:
            assert group.version == 1

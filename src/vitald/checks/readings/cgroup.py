"""The control group that this process is confined to: its limits, of either version.

psutil knows only the machine. In a container the limit is the group's, and the kernel kills by the
group's count, so both versions' files are read here:

    v1  one tree per controller, found through lines like `4:memory:/path` of /proc/self/cgroup
    v2  one tree, found through the line `0::/path`

Where a tree is mounted, and which part of it, stands in /proc/self/mountinfo. A limit holds for all
groups below its own, so every level from the process' group up to the mount point is looked at.
https://docs.kernel.org/admin-guide/cgroup-v2.html
https://docs.kernel.org/admin-guide/cgroup-v1/index.html
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from vitald.checks.readings.mounts import read_mounts

if TYPE_CHECKING:
    from collections.abc import Iterator

# v1 writes "no limit" as the largest page-aligned number; nothing real comes near.
_NO_LIMIT = 1 << 60


class Cgroup(NamedTuple):
    """One group as seen from here: its directory and the mount point it lies under."""

    version: int
    directory: Path
    top: Path

    def levels(self) -> Iterator[Path]:
        """Yield the group's directory and those above it, up to the mount point."""
        directory = self.directory
        while True:
            yield directory
            if directory == self.top:
                return
            directory = directory.parent


class CgroupMemory(NamedTuple):
    """The memory limit that is nearest to being hit, in bytes.

    `used` leaves out file pages that the kernel can drop at once (inactive_file): what it kills
    for. `oom_kills` counts processes of the group killed since it was made.
    """

    limit: int
    used: int
    oom_kills: int | None


class CgroupCpu(NamedTuple):
    """The processor quota that holds, in cores, and how often it was hit.

    `throttled` of `periods` periods ended with the group waiting for its quota.
    """

    cores: float
    periods: int
    throttled: int


def find_cgroup(controller: str, root: Path = Path("/")) -> Cgroup | None:
    """Return the group of this process under `controller`, None when there is none."""
    paths = _own_paths(root)
    for mount in read_mounts(root):
        if mount.type == "cgroup" and controller in mount.options and controller in paths:
            version, path = 1, paths[controller]
        elif mount.type == "cgroup2" and controller not in paths and "" in paths:
            version, path = 2, paths[""]
        else:
            continue
        top = root / mount.path.lstrip("/")
        directory = _below(top, path, mount.root)
        if version == 2 and not _delegated(directory, top, controller):
            continue
        return Cgroup(version, directory, top)
    return None


def read_memory(root: Path = Path("/")) -> CgroupMemory | None:
    """Return the group's memory, None when nothing limits it."""
    group = find_cgroup("memory", root)
    if group is None:
        return None
    found = [memory for level in group.levels() if (memory := _memory(group.version, level))]
    return max(found, key=lambda memory: memory.used / memory.limit, default=None)


def read_cpu(root: Path = Path("/")) -> CgroupCpu | None:
    """Return the group's processor quota, None when it has none."""
    group = find_cgroup("cpu", root)
    if group is None:
        return None
    found = [cpu for level in group.levels() if (cpu := _cpu(group.version, level))]
    return min(found, key=lambda cpu: cpu.cores, default=None)


def _memory(version: int, directory: Path) -> CgroupMemory | None:
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    if version == 2:
        names = ("memory.max", "memory.current", "inactive_file")
    limit, usage = (_number(directory / name) for name in names[:2])
    if limit is None or usage is None or not 0 < limit < _NO_LIMIT:
        return None
    droppable = _table(directory / "memory.stat").get(names[2], 0)
    events = "memory.events" if version == 2 else "memory.oom_control"
    return CgroupMemory(
        limit, max(usage - droppable, 0), _table(directory / events).get("oom_kill")
    )


def _cpu(version: int, directory: Path) -> CgroupCpu | None:
    if version == 2:
        # "max 100000" or "200000 100000": microseconds of processor time per period.
        quota_text, _, period_text = _text(directory / "cpu.max").partition(" ")
        quota, period = _integer(quota_text), _integer(period_text)
    else:
        quota = _number(directory / "cpu.cfs_quota_us")
        period = _number(directory / "cpu.cfs_period_us")
    if quota is None or period is None or quota <= 0 or period <= 0:
        return None
    stat = _table(directory / "cpu.stat")
    return CgroupCpu(quota / period, stat.get("nr_periods", 0), stat.get("nr_throttled", 0))


def _own_paths(root: Path) -> dict[str, str]:
    """Return the path of this process' group by controller; "" is version 2."""
    paths = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _below(top: Path, path: str, mounted_root: str) -> Path:
    """Return the group's directory under a mount that shows the tree from `mounted_root` on.

    In a container the path may be the host's while only the container's own part is mounted: a
    path outside of that part, or one that does not exist, means the mount point itself.
    """
    own, shown = PurePosixPath(path), PurePosixPath(mounted_root)
    if ".." in own.parts or not own.is_relative_to(shown):
        return top
    directory = top / own.relative_to(shown)
    return directory if directory.is_dir() else top


def _delegated(directory: Path, top: Path, controller: str) -> bool:
    """Tell whether a version-2 tree has the controller at all: in a hybrid setup it may not."""
    for level in (directory, top):
        if controller in _text(level / "cgroup.controllers").split():
            return True
    return False


def _table(path: Path) -> dict[str, int]:
    """Read a file of `name number` lines."""
    table = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        number = _integer(value)
        if number is not None:
            table[name] = number
    return table


def _number(path: Path) -> int | None:
    return _integer(_text(path))


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

"""What is mounted where, from /proc/self/mountinfo: no file system is touched to find out.

One line per mount: id, parent, device, root, mount point, options, any number of optional fields,
a lone `-`, type, source, options of the file system.

    36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue

https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

# They hold no data of anybody's, or a fixed image that is always full.
PSEUDO_TYPES = frozenset(
    """
    autofs binfmt_misc bpf cgroup cgroup2 configfs cramfs debugfs devpts devtmpfs efivarfs erofs
    fuse.gvfsd-fuse fuse.lxcfs fuse.portal fusectl hugetlbfs iso9660 mqueue nsfs proc pstore ramfs
    rpc_pipefs securityfs selinuxfs squashfs sysfs tmpfs tracefs udf
    """.split()  # noqa: SIM905 - a list of 34 quoted words is no easier to read
)
# Single files that a container engine mounts from the machine's disk, which is not the container's.
_MOUNTED_FILES = frozenset(
    ["/dev/termination-log", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mounted file system. `root` is the part of it that is mounted at `path`."""

    path: str
    root: str
    type: str
    source: str
    device: str
    options: frozenset[str]


def read_mounts(root: Path = Path("/")) -> list[Mount]:
    """Return all mounts in the kernel's order; a later one hides an earlier one of its path."""
    try:
        text = (root / "proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    mounts = (_mount(line) for line in text.splitlines())
    return [mount for mount in mounts if mount is not None]


def real_mounts(root: Path = Path("/")) -> list[Mount]:
    """Return the mounts that hold data, one per file system: the one with the shortest path."""
    if sys.platform != "linux":
        return _mounts_elsewhere()
    visible = {mount.path: mount for mount in read_mounts(root)}
    chosen: dict[str, Mount] = {}
    for mount in sorted(visible.values(), key=lambda mount: (len(mount.path), mount.path)):
        if mount.type not in PSEUDO_TYPES and mount.path not in _MOUNTED_FILES:
            chosen.setdefault(mount.device, mount)
    return sorted(chosen.values(), key=lambda mount: mount.path)


def _mount(line: str) -> Mount | None:
    fields, separator, rest = line.partition(" - ")
    left, right = fields.split(" "), rest.split(" ")
    if not separator or len(left) < 6 or len(right) < 3:
        return None
    return Mount(
        path=_plain(left[4]),
        root=_plain(left[3]),
        type=right[0],
        source=_plain(right[1]),
        device=left[2],
        options=frozenset(right[2].split(",")),
    )


def _plain(text: str) -> str:
    """Undo the kernel's escapes: blanks, tabs, line ends and backslashes are octal."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def _mounts_elsewhere() -> list[Mount]:
    import psutil

    return [
        Mount(part.mountpoint, "/", part.fstype, part.device, part.device, frozenset())
        for part in psutil.disk_partitions(all=False)
    ]

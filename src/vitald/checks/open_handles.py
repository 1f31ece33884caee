"""How many handles the processes of this machine hold on a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

# The inode of the first PID namespace is a constant of the kernel.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC


def count_open_handles(path: str, proc: str = "/proc") -> int | None:
    """Count the file descriptors that are open on the file `path` names now (Linux).

    None when it cannot be told: without /proc, when a process that may well use the file does not
    let itself be looked at, and in a PID namespace of our own in which nobody seems to hold it.
    Never 0 for "not seen". Raises OSError when the file itself cannot be found.
    """
    file = Path(path).stat()
    try:
        processes = [entry for entry in os.scandir(proc) if entry.name.isdigit()]
    except OSError:
        return None
    if not processes:
        return None
    count = 0
    for process in processes:
        found = _handles_of(process, file)
        if found is None and _may_write(process, file):
            return None
        count += found or 0
    if count == 0 and not _sees_every_process(proc):
        return None
    return count


def _handles_of(process: os.DirEntry[str], file: os.stat_result) -> int | None:
    """Count one process's handles; None when it hides them."""
    try:
        descriptors = os.scandir(f"{process.path}/fd")
    except PermissionError:
        return None
    except OSError:
        return 0  # it has ended
    count = 0
    with descriptors:
        for descriptor in descriptors:
            try:
                target = descriptor.stat()
            except OSError:
                continue  # closed meanwhile
            count += target.st_ino == file.st_ino and target.st_dev == file.st_dev
    return count


def _may_write(process: os.DirEntry[str], file: os.stat_result) -> bool:
    """Tell whether a hidden process runs as a user that the file is for.

    Root's processes do not count, as they can write anything: without root's help they are always
    hidden, and no count could ever be given.
    """
    try:
        owner = process.stat()
    except OSError:
        return False  # it has ended
    if owner.st_uid == file.st_uid:
        return True
    by_group = bool(file.st_mode & stat.S_IWGRP) and owner.st_gid == file.st_gid
    return owner.st_uid != 0 and (by_group or bool(file.st_mode & stat.S_IWOTH))


def _sees_every_process(proc: str) -> bool:
    try:
        namespace = Path(proc, "self/ns/pid").stat().st_ino
    except OSError:
        return False
    return namespace == _FIRST_PID_NAMESPACE

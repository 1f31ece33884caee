"""Space and inodes of one file system, counted the way `df` does."""

from __future__ import annotations

import os
from typing import NamedTuple


class Space(NamedTuple):
    """Bytes and inodes. `free` is what an ordinary user can still write.

    File systems that make inodes as they need them (btrfs, some network ones) have none to count:
    their inode numbers are None.
    """

    size: int
    used: int
    free: int
    inodes: int | None
    inodes_free: int | None

    @property
    def percent(self) -> float | None:
        """Return the used share as `df` shows it: of what an ordinary user could ever use."""
        usable = self.used + self.free
        return 100.0 * self.used / usable if usable else None

    @property
    def inodes_percent(self) -> float | None:
        """Return the used share of the inodes."""
        if self.inodes is None or self.inodes_free is None:
            return None
        return 100.0 * (self.inodes - self.inodes_free) / self.inodes


def read_space(path: str) -> Space:
    """Ask the file system that `path` lies on. Raises OSError; may block for ever on a dead NFS."""
    found = os.statvfs(path)
    # f_bfree counts the blocks that are kept for root too, which nobody else can write to.
    return Space(
        size=found.f_blocks * found.f_frsize,
        used=(found.f_blocks - found.f_bfree) * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
        inodes=found.f_files or None,
        inodes_free=found.f_favail if found.f_files else None,
    )

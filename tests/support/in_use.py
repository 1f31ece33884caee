"""What this process has of the machine."""

from __future__ import annotations

import time
from pathlib import Path


def threads_and_files():
    """Return the numbers of all threads, Python's or not, and of all open files."""
    return [{each.name for each in Path(f"/proc/self/{what}").iterdir()} for what in ("task", "fd")]


def new_since(before, patience=5.0):
    """Return the numbers of threads and files that were not there before.

    A thread that was joined may be listed for a moment more.
    """
    deadline = time.monotonic() + patience
    while True:
        new = [now - then for now, then in zip(threads_and_files(), before, strict=True)]
        if not any(new) or time.monotonic() > deadline:
            return sorted(set.union(*new))
        time.sleep(0.01)

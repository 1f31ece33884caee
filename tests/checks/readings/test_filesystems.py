from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest

from vitald.checks.readings.filesystems import Space, read_space


def test_space_is_counted_like_df_counts_it(tmp_path):
    space = read_space(str(tmp_path))
    shown = subprocess.run(
        ["df", "-P", "-B1", str(tmp_path)], capture_output=True, text=True, check=True
    )
    size, used, free, percent = shown.stdout.splitlines()[1].split()[1:5]
    assert space.size == int(size)
    # Somebody else may write between the two looks.
    assert space.used == pytest.approx(int(used), abs=256 << 20)
    assert space.free == pytest.approx(int(free), abs=256 << 20)
    assert space.percent == pytest.approx(float(percent.rstrip("%")), abs=1.1)


def test_inodes_are_counted_like_df_counts_them(tmp_path):
    space = read_space(str(tmp_path))
    shown = subprocess.run(
        ["df", "-P", "-i", str(tmp_path)], capture_output=True, text=True, check=True
    )
    total, _, free = shown.stdout.splitlines()[1].split()[1:4]
    if total in {"0", "-"}:
        assert space.inodes is None
    else:
        assert space.inodes == int(total)
        assert space.inodes_free == pytest.approx(int(free), rel=0.05)


def test_what_only_root_may_write_is_not_free(monkeypatch):
    monkeypatch.setattr(
        os,
        "statvfs",
        lambda _: SimpleNamespace(
            f_frsize=4096, f_blocks=1000, f_bfree=100, f_bavail=50, f_files=10, f_favail=1
        ),
    )
    space = read_space("/")
    assert space == Space(1000 * 4096, 900 * 4096, 50 * 4096, 10, 1)
    assert space.percent == pytest.approx(100 * 900 / 950)
    assert space.inodes_percent == 90.0


def test_a_file_system_without_countable_inodes_or_blocks_has_no_shares():
    space = Space(0, 0, 0, None, None)
    assert (space.percent, space.inodes_percent) == (None, None)


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_space(str(tmp_path / "nothing"))

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.readings.mounts import read_mounts, real_mounts

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda1 rw,errors=remount-ro
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw
40 27 8:1 / /srv/my\040data rw - xfs /dev/sda1 rw
41 27 8:1 /deep /srv/my\040data/again rw - xfs /dev/sda1 rw
42 27 254:0 /var/lib/x/hosts /etc/hosts rw - ext4 /dev/vda1 rw
43 27 0:50 / /mnt/nfs rw - nfs4 server:/export rw,vers=4.2
44 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
45 27 8:2 / /mnt/hidden rw - ext4 /dev/sdb1 rw
46 27 8:3 / /mnt/hidden rw - ext4 /dev/sdc1 rw
rubbish
1 2 3:4 / /short - ext4
"""


def test_each_file_system_with_data_is_listed_once(tree):
    mounts = real_mounts(tree({"proc/self/mountinfo": MOUNTINFO}))
    assert [(mount.path, mount.source, mount.type) for mount in mounts] == [
        ("/", "/dev/vda1", "ext4"),
        ("/mnt/hidden", "/dev/sdc1", "ext4"),
        ("/mnt/nfs", "server:/export", "nfs4"),
        ("/srv/my data", "/dev/sda1", "xfs"),
    ]


def test_a_containers_root_is_listed_but_not_the_files_mounted_into_it(tree):
    mounts = real_mounts(
        tree(
            {
                "proc/self/mountinfo": (
                    "500 400 0:60 / / rw - overlay overlay rw,lowerdir=a\n"
                    "501 500 254:0 /x/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n"
                    "502 500 254:0 /x/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw\n"
                )
            }
        )
    )
    assert [mount.path for mount in mounts] == ["/"]


def test_every_field_is_read(tree):
    mount = read_mounts(tree({"proc/self/mountinfo": MOUNTINFO}))[4]
    assert (mount.path, mount.root, mount.device) == ("/srv/my data/again", "/deep", "8:1")
    assert mount.options == {"rw"}


def test_without_the_file_there_are_no_mounts(tmp_path):
    assert read_mounts(tmp_path) == []


@given(st.binary(max_size=200))
def test_rubbish_raises_nothing(tmp_path_factory, rubbish):
    root = tmp_path_factory.mktemp("rubbish")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_bytes(rubbish)
    read_mounts(root)
    real_mounts(root)


@pytest.mark.skipif(sys.platform != "linux", reason="mountinfo is Linux'")
def test_the_mounts_of_this_machine_exist():
    for mount in real_mounts():
        assert os.path.ismount(mount.path)

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from vitald.checks import disk
from vitald.checks.disk import DiskCheck, Options
from vitald.checks.look import Looker
from vitald.checks.readings.filesystems import Space
from vitald.checks.spec import CheckSpec
from vitald.status import Status

GIB = 1 << 30


def values(result):
    return {item.name: item.value for item in result.observations}


@pytest.fixture
def space(monkeypatch):
    """Let the file system be as full as a test wants it."""

    def fill(*, used=0, free=100 * GIB, inodes=1000, inodes_free=1000):
        size = used + free
        monkeypatch.setattr(
            disk, "read_space", lambda _: Space(size, used, free, inodes, inodes_free)
        )

    return fill


def check(**options):
    return DiskCheck(path=Path("/srv"), **options).run()


@pytest.mark.parametrize(
    ("used", "status"),
    [(79, Status.HEALTHY), (80, Status.WARNING), (89, Status.WARNING), (90, Status.CRITICAL)],
)
def test_the_used_share_decides(space, used, status):
    space(used=used * GIB, free=(100 - used) * GIB)
    result = check()
    assert result.status is status
    assert f"/srv {used} % used" in result.message


def test_too_few_inodes_are_as_bad_as_too_little_space(space):
    space(inodes=1000, inodes_free=50)
    result = check()
    assert result.status is Status.CRITICAL
    assert result.message.startswith("95 % of the inodes used (critical at 90 %)")


def test_a_file_system_without_inodes_to_count_is_judged_by_space_alone(space):
    space(inodes=None, inodes_free=None)
    result = check()
    assert result.status is Status.HEALTHY
    assert "inodes" not in result.message
    assert "disk_inodes_free" not in values(result)


def test_free_bytes_can_be_the_limit(space):
    space(used=10 * GIB, free=4 * GIB)
    limits = {"warning": None, "critical": None, "free_warning": 5 * GIB, "free_critical": GIB}
    result = check(**limits)
    assert result.status is Status.WARNING
    assert result.message.startswith("4 GiB free (warning at 5 GiB)")
    space(used=10 * GIB, free=GIB)
    assert check(**limits).status is Status.CRITICAL


def test_the_promised_gauges_are_observed_with_the_path(space):
    space(used=30 * GIB, free=70 * GIB)
    result = check()
    assert {item.tags for item in result.observations} == {(("path", "/srv"),)}
    assert values(result) == {
        "disk_usage_bytes": 30 * GIB,
        "disk_usage_percent": 30.0,
        "disk_free_bytes": 70 * GIB,
        "disk_size_bytes": 100 * GIB,
        "disk_inodes_free": 1000,
        "disk_inodes_usage_percent": 0.0,
    }


def test_the_status_gauge_has_its_promised_name_and_numbers_are_the_machines():
    spec = CheckSpec.of("root", "disk", DiskCheck, Options(path="/"))
    assert (spec.status_metric, spec.machine_wide) == ("disk_space_status", True)


def test_the_disk_of_this_test_is_read(tmp_path):
    result = DiskCheck(path=tmp_path, warning=None, critical=None, inodes_warning=None).run()
    assert 0 < values(result)["disk_usage_percent"] <= 100


def test_a_path_that_is_not_there_is_critical(tmp_path):
    result = Looker("vitald.checks.disk:DiskCheck", {"path": tmp_path / "gone"}).look()
    assert result.status is Status.CRITICAL
    assert result.message == f"cannot read {tmp_path / 'gone'}: no such file or directory"


def test_an_empty_mount_point_is_critical_where_a_mount_is_wanted(tmp_path):
    result = DiskCheck(path=tmp_path, mounted=True).run()
    assert result.status is Status.CRITICAL
    assert result.message == f"nothing is mounted at {tmp_path}"
    assert DiskCheck(path=Path("/"), mounted=True, critical=None).run().status is not None


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of one megabyte and few inodes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=40", "vitald-test", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let tests mount")
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.mark.root
def test_a_real_disk_that_fills_up_is_noticed(small_disk):
    check = DiskCheck(path=small_disk, mounted=True)
    assert check.run().status is Status.HEALTHY
    (small_disk / "data").write_bytes(b"x" * (850 << 10))
    assert check.run().status is Status.WARNING
    (small_disk / "more").write_bytes(b"x" * (100 << 10))
    result = check.run()
    assert result.status is Status.CRITICAL
    # Files take whole pages.
    assert 950 << 10 <= values(result)["disk_usage_bytes"] < 1 << 20
    (small_disk / "data").unlink()
    assert check.run().status is Status.HEALTHY


@pytest.mark.root
def test_a_real_disk_that_runs_out_of_inodes_is_noticed(small_disk):
    for number in range(37):
        (small_disk / str(number)).touch()
    result = DiskCheck(path=small_disk).run()
    assert result.status is Status.CRITICAL
    assert "of the inodes used (critical at 90 %)" in result.message
    assert values(result)["disk_usage_percent"] < 10


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "Field required"),
        ({"path": "srv"}, "must be absolute"),
        ({"path": "/", "warning": "90%", "critical": "80%"}, "not be below its warning"),
        ({"path": "/", "inodes_warning": 95}, "not be below its warning"),
        ({"path": "/", "free_warning": "1GB", "free_critical": "2GB"}, "not be above its warning"),
        ({"path": "/", "warning": "101%"}, "from 0% to 100%"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, fault):
    with pytest.raises(ValidationError, match=fault):
        Options(**options)


def test_options_are_written_as_people_write_them():
    options = Options(path="/srv", warning="75%", critical=None, free_critical="10GB")
    assert (options.warning, options.critical, options.free_critical) == (75.0, None, 10**10)

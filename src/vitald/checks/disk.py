"""Space and inodes of one file system."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - pydantic resolves it when the class is made
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from vitald.checks.base import Observation, Result
from vitald.checks.limits import check_order, conclude, judge, percent, size
from vitald.checks.readings.filesystems import Space, read_space
from vitald.config.options import CheckOptions, Percent, Size
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitald.checks.base import Isolation
    from vitald.checks.limits import Finding


class Options(CheckOptions):
    """One path; the file system that it lies on is looked at."""

    path: Path = Field(description="Any path on the file system, absolute.")
    mounted: bool = Field(
        False, description="Critical unless something is mounted at exactly this path."
    )
    warning: Percent | None = Field(80.0, description="Warning from this share of space in use.")
    critical: Percent | None = Field(90.0, description="Critical from this share of space in use.")
    free_warning: Size | None = Field(None, description="Warning when so little space is free.")
    free_critical: Size | None = Field(None, description="Critical when so little space is free.")
    inodes_warning: Percent | None = Field(
        80.0, description="Warning from this share of inodes in use."
    )
    inodes_critical: Percent | None = Field(
        90.0, description="Critical from this share of inodes in use."
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError("must be absolute: it starts with /")
        return path

    @field_validator("critical", "inodes_critical", "free_critical")
    @classmethod
    def _in_order(cls, critical: float | None, info: ValidationInfo) -> float | None:
        name = str(info.field_name)
        warning = info.data.get(name.replace("critical", "warning"))
        check_order(warning, critical, below=name == "free_critical")
        return critical


class DiskCheck:
    """Ask a file system how full it is, the way `df` counts.

    `statvfs` on a network file system whose server is gone blocks for ever; then this check's
    thread hangs, and no other check's.
    """

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "thread"
    connectivity: ClassVar[bool] = False
    machine_wide: ClassVar[bool] = True
    status_metric: ClassVar[str] = "disk_space_status"

    def __init__(
        self,
        *,
        path: Path,
        mounted: bool = False,
        warning: float | None = 80.0,
        critical: float | None = 90.0,
        free_warning: int | None = None,
        free_critical: int | None = None,
        inodes_warning: float | None = 80.0,
        inodes_critical: float | None = 90.0,
    ) -> None:
        self._path = path
        self._mounted = mounted
        self._used_limits = (warning, critical)
        self._free_limits = (free_warning, free_critical)
        self._inode_limits = (inodes_warning, inodes_critical)

    def run(self) -> Result:
        # An empty mount point lies on its parent's file system: full of space, empty of data.
        if self._mounted and not os.path.ismount(self._path):
            return Result(Status.CRITICAL, f"nothing is mounted at {self._path}")
        space = read_space(str(self._path))
        return conclude(self._findings(space), self._observations(space))

    def _findings(self, space: Space) -> Iterator[Finding]:
        used = f"{self._path} {{}} used"
        yield judge(used, space.percent, *self._used_limits, write=percent)
        yield judge("{} free", space.free, *self._free_limits, write=size, below=True)
        if space.inodes is not None:
            inodes = "{} of the inodes used"
            yield judge(inodes, space.inodes_percent, *self._inode_limits, write=percent)

    def _observations(self, space: Space) -> Iterator[Observation]:
        tags = (("path", str(self._path)),)
        yield Observation("disk_usage_bytes", space.used, tags)
        yield Observation("disk_usage_percent", space.percent, tags)
        yield Observation("disk_free_bytes", space.free, tags)
        yield Observation("disk_size_bytes", space.size, tags)
        if space.inodes is not None:
            yield Observation("disk_inodes_free", space.inodes_free, tags)
            yield Observation("disk_inodes_usage_percent", space.inodes_percent, tags)
